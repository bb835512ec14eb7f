import { expect, it } from 'vitest';
import { tokenLogProb } from '../../src/graph/blocks.ts';
import { gradients } from '../../src/graph/gradients.ts';
import { buildGraph } from '../../src/graph/graph.ts';
import { add, mul, neg } from '../../src/graph/ops/elementwise.ts';
import { gather } from '../../src/graph/ops/gather.ts';
import { matmul } from '../../src/graph/ops/matrix.ts';
import { rmsNorm } from '../../src/graph/ops/normalise.ts';
import { sumAll } from '../../src/graph/ops/reduce.ts';
import { printGraph } from '../../src/graph/print.ts';
import { shareSubexpressions } from '../../src/graph/share-subexpressions.ts';
import { f32, input, weight } from '../../src/graph/tensor.ts';
import { must } from '../../src/lib/errors.ts';

/** The smallest step that trains: one embedding, one low-rank update, one norm, the log-probability of the next token. */
function smallestTrainStep() {
  const ids = input('ids', 'i64', ['S']);
  const targets = input('targets', 'i64', ['S']);
  const a = input('lora_a', 'f32', [8, 2]);
  const b = input('lora_b', 'f32', [2, 8]);
  const embedding = weight('embedding', 'f32', [16, 8], { file: 'base.bin', byteOffset: 4096 });
  const x = gather(embedding, ids);
  const updated = add(x, mul(matmul(matmul(x, a), b), 2));
  const hidden = rmsNorm(updated, f32([8], new Float32Array(8).fill(1)), 1e-5);
  const loss = neg(sumAll(tokenLogProb(hidden, { head: embedding, targets })));
  const [da, db] = gradients(loss, [a, b]).map((g) => must(g, 'a gradient'));
  return shareSubexpressions(
    buildGraph('smallest_train_step', { loss, da: must(da, 'da'), db: must(db, 'db') }),
  );
}

it('prints the smallest train step as it always has', () => {
  expect(printGraph(smallestTrainStep())).toMatchInlineSnapshot(`
    "graph smallest_train_step
    input ids: i64[S]
    input lora_a: f32[8, 2]
    input lora_b: f32[2, 8]
    input targets: i64[S]
    weight embedding: f32[16, 8] = base.bin at 4096
    Gather_0: f32[S, 8] = Gather(embedding, ids) axis=0
    MatMul_1: f32[S, 2] = MatMul(Gather_0, lora_a)
    MatMul_2: f32[S, 8] = MatMul(MatMul_1, lora_b)
    Mul_3: f32[S, 8] = Mul(MatMul_2, f32 2)
    Add_4: f32[S, 8] = Add(Gather_0, Mul_3)
    SimplifiedLayerNormalization_5: f32[S, 8], SimplifiedLayerNormalization_5.1: f32[S, 1] = SimplifiedLayerNormalization(Add_4, f32[8] 1, 1, 1, 1, 1, 1, 1, 1) axis=1 epsilon=0.00001 stash_type=1
    Gather_6: f32[S, 8] = Gather(embedding, targets) axis=0
    Mul_7: f32[S, 8] = Mul(SimplifiedLayerNormalization_5, Gather_6)
    ReduceSum_8: f32[S, 1] = ReduceSum(Mul_7, [1]) keepdims=true
    FusedMatMul_9: f32[S, 16] = FusedMatMul(SimplifiedLayerNormalization_5, embedding) transA=false transB=true alpha=1
    ReduceMax_10: f32[S, 1] = ReduceMax(FusedMatMul_9, [1]) keepdims=true
    Softmax_11: f32[S, 16] = Softmax(FusedMatMul_9) axis=1
    ReduceMax_12: f32[S, 1] = ReduceMax(Softmax_11, [1]) keepdims=true
    Log_13: f32[S, 1] = Log(ReduceMax_12)
    Sub_14: f32[S, 1] = Sub(ReduceMax_10, Log_13)
    Sub_15: f32[S, 1] = Sub(ReduceSum_8, Sub_14)
    ReduceSum_16: f32[] = ReduceSum(Sub_15, [0, 1]) keepdims=false
    loss: f32[] = Neg(ReduceSum_16)
    Neg_18: f32[] = Neg(f32 1)
    Unsqueeze_19: f32[1, 1] = Unsqueeze(Neg_18, [0, 1])
    Shape_20: i64[1] = Shape(ids) start=0 end=1
    Concat_21: i64[2] = Concat(Shape_20, [1]) axis=0
    Expand_22: f32[S, 1] = Expand(Unsqueeze_19, Concat_21)
    MatMul_23: f32[S, 8] = MatMul(Softmax_11, embedding)
    Sub_24: f32[S, 8] = Sub(Gather_6, MatMul_23)
    Mul_25: f32[S, 8] = Mul(Expand_22, Sub_24)
    Mul_26: f32[S, 8] = Mul(Mul_25, f32[8] 1, 1, 1, 1, 1, 1, 1, 1)
    Mul_27: f32[S, 8] = Mul(Mul_26, Add_4)
    ReduceMean_28: f32[S, 1] = ReduceMean(Mul_27, [1]) keepdims=true
    Mul_29: f32[S, 1] = Mul(SimplifiedLayerNormalization_5.1, SimplifiedLayerNormalization_5.1)
    Mul_30: f32[S, 1] = Mul(ReduceMean_28, Mul_29)
    Mul_31: f32[S, 8] = Mul(Add_4, Mul_30)
    Sub_32: f32[S, 8] = Sub(Mul_26, Mul_31)
    Mul_33: f32[S, 8] = Mul(Sub_32, SimplifiedLayerNormalization_5.1)
    Mul_34: f32[S, 8] = Mul(Mul_33, f32 2)
    FusedMatMul_35: f32[S, 2] = FusedMatMul(Mul_34, lora_b) transA=false transB=true alpha=1
    da: f32[8, 2] = FusedMatMul(Gather_0, FusedMatMul_35) transA=true transB=false alpha=1
    db: f32[2, 8] = FusedMatMul(MatMul_1, Mul_34) transA=true transB=false alpha=1
    output loss: f32[]
    output da: f32[8, 2]
    output db: f32[2, 8]
    "
  `);
});

it('prints equal graphs alike', () => {
  expect(printGraph(smallestTrainStep())).toBe(printGraph(smallestTrainStep()));
});
