/** What devices call the decode graph that they run. The SDK feeds it, so a graph with other inputs or outputs needs a new
 *  version in its name, and so does one that computes otherwise: a device that does not find its own leaves the answers to the
 *  cloud. */
export const DEVICE_GRAPH_NAME = 'device-decode.v4.onnx';

/** The graphs that a device trains with. */
export type DeviceTrainGraphName = 'prefix' | 'step' | 'score';

const TRAIN_VERSION = 'v1';

/** What devices call a training graph; `key` stands for the LoRA and the lengths that it is for. Versions as above. */
export function deviceTrainGraphFile(name: DeviceTrainGraphName, key: string): string {
  return `device-train-${key}.${name}.${TRAIN_VERSION}.onnx`;
}

/** Whether the file is that training graph, in the version that this SDK feeds. */
export function isDeviceTrainGraph(file: string, name: DeviceTrainGraphName): boolean {
  return file.startsWith('device-train-') && file.endsWith(`.${name}.${TRAIN_VERSION}.onnx`);
}
