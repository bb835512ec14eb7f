/** What devices call the decode graph that they run. The SDK feeds it, so a graph with other inputs or outputs needs a new
 *  version in its name, and so does one that computes otherwise: a device that does not find its own leaves the answers to the
 *  cloud. */
export const DEVICE_GRAPH_NAME = 'device-decode.v3.onnx';
