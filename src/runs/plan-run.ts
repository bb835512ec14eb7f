// Whether a run goes on from the live adapter or begins anew.

import { adapterById } from '../adapters/registry.ts';
import { changedShare } from '../dataset/core/changed-share.ts';
import { hashesAt } from '../dataset/dataset-hashes.ts';
import type { Db } from '../db/database.ts';
import type { AdapterRow, DatasetRow } from '../db/schema.ts';
import { canonicalJson, type Json } from '../lib/canonical-json.ts';
import { must } from '../lib/errors.ts';
import type { IncrementalChoices } from '../modes/choices.ts';
import type { Recipe } from '../training/core/recipe.ts';

/** What a plan follows from. */
export interface PlanFacts {
  readonly dataset: DatasetRow;
  readonly recipe: Recipe;
  readonly incremental: IncrementalChoices;
  /** The user's own live adapter. */
  readonly live: AdapterRow | null;
  /** What the mode ships now. */
  readonly shipped: AdapterRow | null;
  /** Somebody asked for a rebuild, or an adapter was withdrawn. */
  readonly forced: boolean;
}

/** Why a run begins anew. */
export type RebuildReason =
  | 'ASKED_FOR'
  | 'NO_LIVE_ADAPTER'
  | 'OTHER_RECIPE'
  | 'OTHER_SHIPPED_ADAPTER'
  | 'MUCH_HAS_CHANGED'
  /** What went on from the live adapter did not pass. */
  | 'GATE_FAILED';

/** How a run begins. */
export type RunPlan =
  | { readonly kind: 'rebuild'; readonly reason: RebuildReason }
  /** From the live adapter, which knows what has these hashes. */
  | { readonly kind: 'warm'; readonly from: AdapterRow; readonly learnt: ReadonlySet<string> };

/** Plans a run. A withdrawn adapter is never live, so whatever knew a deleted record is no start. */
export async function planRun(db: Db, facts: PlanFacts): Promise<RunPlan> {
  const { live, recipe, forced } = facts;
  if (forced) return rebuild('ASKED_FOR');
  if (live === null || live.dataThrough === null) return rebuild('NO_LIVE_ADAPTER');
  const isSameRecipe =
    live.lineage !== null &&
    canonicalJson(live.lineage.recipe) === canonicalJson(recipe as unknown as Json);
  if (!isSameRecipe) return rebuild('OTHER_RECIPE');
  const root = await rootOf(db, live);
  if (root.startedFromId !== (facts.shipped?.id ?? null)) return rebuild('OTHER_SHIPPED_ADAPTER');
  const { userId, mode, changeSeq } = facts.dataset;
  const at = (seq: number) => hashesAt(db, userId, mode, seq);
  const [now, then] = [await at(changeSeq), await at(root.dataThrough ?? 0)];
  if (changedShare(then, now) > facts.incremental.rebuildShare) return rebuild('MUCH_HAS_CHANGED');
  return { kind: 'warm', from: live, learnt: await at(live.dataThrough) };
}

function rebuild(reason: RebuildReason): RunPlan {
  return { kind: 'rebuild', reason };
}

/** The adapter of the last run from scratch, at the beginning of a chain of warm starts. */
async function rootOf(db: Db, adapter: AdapterRow): Promise<AdapterRow> {
  if (adapter.startedFromId === null) return adapter;
  const start = must(await adapterById(db, adapter.startedFromId), 'adapters are never erased');
  return start.userId === null ? adapter : rootOf(db, start);
}
