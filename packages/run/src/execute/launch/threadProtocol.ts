// What the thread that starts ranks and the ranks' threads tell each other; ranks in processes say the same to their parent.

import type { Region } from "../memory/index.ts";
import type { ThreadWorld } from "../transport/threads/threadWorld.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import type { PoolOptions } from "./rankPool.ts";

/** To a rank's thread: one run. The thread stays for the next. */
export interface RunMessage extends PoolOptions {
  readonly job: RankJob;
  readonly world: ThreadWorld;
  readonly rank: number;
  /** The rank's part of the world's memory. */
  readonly region: Region;
}

/** From a rank's thread or process. */
export type ThreadMessage = { readonly kind: "event"; readonly event: RunEvent } | RankEnd;

/** How a rank's run ended; the last that it says. */
export type RankEnd =
  | { readonly kind: "done" }
  /** `isEcho`: the rank failed because another one did. `isLost`: the other one ended or went silent. */
  | {
      readonly kind: "failed";
      readonly text: string;
      readonly isEcho: boolean;
      readonly isLost: boolean;
      /** Ranks did not find each other, or not with the same job: the user's to mend. */
      readonly isUnmet?: boolean;
      readonly stack: string;
    };
