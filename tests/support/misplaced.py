"""Where a page is hard to read although it says all: texts that are cut, lie over each other, or reach out of it.

A page can be like that without any violation of what axe checks.
"""

from typing import Any, Final

_MISPLACED: Final = r"""
() => {
  const faults = new Set();
  const worded = (element) => {
    const of = [element.tagName.toLowerCase(), ...element.classList].join(".");
    return `${of} "${element.textContent.trim().slice(0, 40)}"`;
  };
  const scrolls = (value) => value === "auto" || value === "scroll";
  // What is seen of a box; `cut`, `below`: how much its ancestors cut off where no one can scroll to it.
  const seenPart = (element, box) => {
    const seen = { left: box.left, top: box.top, right: box.right, bottom: box.bottom, cut: 0, below: 0 };
    for (let each = element; each !== null; each = each.parentElement) {
      const style = getComputedStyle(each);
      if (style.overflowX === "visible" && style.overflowY === "visible") {
        if (style.position === "fixed") break;
        continue;
      }
      const edge = each.getBoundingClientRect();
      const endsWell = style.textOverflow === "ellipsis" || scrolls(style.overflowX);
      if (!endsWell) seen.cut = Math.max(seen.cut, seen.right - edge.right);
      if (!scrolls(style.overflowY)) seen.below = Math.max(seen.below, seen.bottom - edge.bottom);
      seen.left = Math.max(seen.left, edge.left);
      seen.top = Math.max(seen.top, edge.top);
      seen.right = Math.min(seen.right, edge.right);
      seen.bottom = Math.min(seen.bottom, edge.bottom);
      if (style.position === "fixed") break;
    }
    return seen;
  };
  const isOver = (seen) => seen.right - seen.left < 1 || seen.bottom - seen.top < 1;
  const isAbove = (hit, element) => hit !== null && (hit === element || hit.contains(element) || element.contains(hit));
  // Layers lie over others on purpose: a dialog, the sheet of a phone, the tools of a map, the head of a table.
  const isLayer = (element) => {
    for (let each = element; each !== null; each = each.parentElement) {
      if (["fixed", "sticky", "absolute"].includes(getComputedStyle(each).position)) return true;
    }
    return false;
  };
  const ignored = ".for-readers, .skip, option, script, style, svg";
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null; node = walker.nextNode()) {
    const element = node.parentElement;
    if (node.data.trim() === "" || element.closest(ignored) !== null) continue;
    if (!element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width === 0 || box.height === 0) continue;
      const seen = seenPart(element, box);
      if (isOver(seen)) continue;
      if (seen.cut > 1.5) faults.add(`cut: ${worded(element)} by ${seen.cut.toFixed(1)}`);
      if (seen.below > 4) faults.add(`cut below: ${worded(element)} by ${seen.below.toFixed(1)}`);
      if (seen.right > innerWidth + 0.5 || seen.left < -0.5) faults.add(`beyond the window: ${worded(element)}`);
      const hit = document.elementFromPoint((seen.left + seen.right) / 2, (seen.top + seen.bottom) / 2);
      if (isAbove(hit, element)) texts.push({ element, ...seen });
      else if (hit !== null && !isLayer(hit)) faults.add(`covered: ${worded(element)} by ${worded(hit)}`);
    }
  }
  for (const [at, one] of texts.entries()) {
    for (const other of texts.slice(at + 1)) {
      if (one.element === other.element) continue;
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      // Boxes of lines are higher than their letters.
      const least = Math.min(one.bottom - one.top, other.bottom - other.top);
      if (wide < 1.5 || high < least * 0.4) continue;
      faults.add(`over each other: ${worded(one.element)}, ${worded(other.element)}`);
    }
  }
  for (const element of document.querySelectorAll("button, input, select, meter, progress, summary, a, canvas")) {
    if (element.closest(ignored) !== null || !element.checkVisibility({ checkVisibilityCSS: true })) continue;
    const seen = seenPart(element, element.getBoundingClientRect());
    if (isOver(seen)) continue;
    if (seen.cut > 1.5) faults.add(`cut: ${worded(element)} by ${seen.cut.toFixed(1)}`);
    if (seen.right > innerWidth + 0.5 || seen.left < -0.5) faults.add(`beyond the window: ${worded(element)}`);
  }
  if (document.documentElement.scrollWidth > innerWidth) faults.add("the page is wider than the window");
  return [...faults];
}
"""


async def misplaced(page: Any) -> list[str]:
    """What of the visible part of a page is cut without a sign, is covered, lies over another text, or reaches out."""
    found: list[str] = await page.evaluate(_MISPLACED)
    return found
