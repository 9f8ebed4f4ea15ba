// The learn page: each parallel dimension and technique by its own program. Choose a lesson, turn its dial, and see which ops, exchanges and bytes change.

import { usePageView } from "../state/pageView.ts";
import "./learn.css";
import { LayerLessonView } from "./LayerLessonView.tsx";
import { lessons } from "./lessons.ts";
import { ScheduleLessonView } from "./ScheduleLessonView.tsx";
import { readLearnView } from "./view.ts";

export default function LearnPage() {
  const [view, setView] = usePageView("learn", readLearnView);
  const lesson = lessons.find(({ id }) => id === view.lesson) ?? lessons[0];
  if (lesson === undefined) return null;
  return (
    <div class="learn">
      <nav aria-label="Lessons">
        <ol>
          {lessons.map(({ id, title }) => (
            <li key={id}>
              <button
                type="button"
                aria-current={id === lesson.id ? "true" : undefined}
                onClick={() => setView({ ...view, lesson: id })}
              >
                {title}
              </button>
            </li>
          ))}
        </ol>
      </nav>
      <article class="stack">
        <header class="words">
          <h2>{lesson.title}</h2>
          {lesson.text.map((paragraph) => (
            <p key={paragraph}>{paragraph}</p>
          ))}
          {lesson.kind === "layer" ? (
            <p class="dim">
              {lesson.papers.map(({ title, arxiv }, i) => (
                <span key={arxiv}>
                  {i === 0 ? "" : "; "}
                  {title}, arXiv {arxiv}
                </span>
              ))}
            </p>
          ) : null}
        </header>
        {lesson.kind === "layer" ? (
          <LayerLessonView
            key={lesson.id}
            lesson={lesson}
            chosen={view.variants[lesson.id] ?? lesson.first}
            onChoose={(variant) => setView({ ...view, variants: { ...view.variants, [lesson.id]: variant } })}
          />
        ) : (
          <ScheduleLessonView view={view.schedule} onChange={(schedule) => setView({ ...view, schedule })} />
        )}
      </article>
    </div>
  );
}
