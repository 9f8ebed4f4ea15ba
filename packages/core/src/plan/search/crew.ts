// A search by several hands: whoever is free takes the next core of the round. What hands are (this thread, worker threads, a page's workers) is the face's
// business: each is a function from a task to a promise of its answer. The answer of the search is the same for any number of them, because every core of a
// round begins with what was known before the round (searchPlan.ts).

import type { PlanSearch, RoundedSearch } from "./searchPlan.ts";
import type { CoreAnswer, CoreTask } from "./task.ts";

export type Hand = (task: CoreTask) => Promise<CoreAnswer>;

export interface CrewOptions {
  /** Hands of the next round: workers may join while the search runs. */
  readonly crew: () => readonly Hand[];
  /** Closes a task that is not searched since the search was stopped: counts what is open, quickly. */
  readonly close: (task: CoreTask) => CoreAnswer;
  readonly stopped: () => boolean;
  /** After each answer: those of the round that runs, in the order of its tasks, without those still missing. */
  readonly onAnswer?: (ofRound: readonly CoreAnswer[]) => void;
}

export async function searchWithCrew(search: RoundedSearch, options: CrewOptions): Promise<PlanSearch> {
  const { crew, close, stopped, onAnswer } = options;
  for (let tasks = search.round(); tasks.length > 0; tasks = search.round()) {
    const answers = new Array<CoreAnswer | undefined>(tasks.length);
    let next = 0;
    const work = async (hand: Hand) => {
      while (next < tasks.length && !stopped()) {
        const index = next++;
        answers[index] = await hand(tasks[index]!); // index < tasks.length
        onAnswer?.(answers.filter((answer) => answer !== undefined));
      }
    };
    await Promise.all(crew().map(work));
    search.take(tasks.map((task, index) => answers[index] ?? close(task)));
  }
  return search.result();
}
