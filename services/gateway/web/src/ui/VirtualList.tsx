// Rows of one height, of which only those in sight exist.

import type { ComponentChildren, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

const BEYOND = 6;

export interface Window {
  readonly first: number;
  readonly last: number;
}

/** Which rows are in sight of a scrolled element. */
export function useWindow(scroller: RefObject<HTMLElement | null>, count: number, height: number): Window {
  const [{ top, space }, setSight] = useState({ top: 0, space: 0 });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return undefined;
    const measure = () => setSight({ top: element.scrollTop, space: element.clientHeight });
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, [scroller]);
  const first = Math.max(0, Math.min(Math.floor(top / height), count) - BEYOND);
  return { first, last: Math.min(count, Math.ceil((top + space) / height) + BEYOND) };
}

interface Props<T> {
  readonly items: readonly T[];
  readonly height: number;
  readonly label: string;
  readonly keyOf: (item: T) => string;
  readonly row: (item: T) => ComponentChildren;
}

export function VirtualList<T>({ items, height, label, keyOf, row }: Props<T>) {
  const scroller = useRef<HTMLDivElement>(null);
  const { first, last } = useWindow(scroller, items.length, height);
  return (
    <div class="list" ref={scroller} tabIndex={0} role="region" aria-label={label}>
      <ul style={{ height: `${items.length * height}px` }}>
        {items.slice(first, last).map((item, at) => (
          <li
            key={keyOf(item)}
            aria-setsize={items.length}
            aria-posinset={first + at + 1}
            style={{ height: `${height}px`, transform: `translateY(${(first + at) * height}px)` }}
          >
            {row(item)}
          </li>
        ))}
      </ul>
    </div>
  );
}
