"""The map as a person sees it: spots of one colour in its picture, without the names above it."""

import base64
import json
from typing import Any, Final, NamedTuple

from support.waiting import eventually

_SPOTS: Final = """
async ([source, colour, tolerance]) => {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, image.width, image.height);
  const hue = (index) => {
    const [red, green, blue] = [data[index * 4], data[index * 4 + 1], data[index * 4 + 2]];
    const most = Math.max(red, green, blue, 1);
    return most > 60 && [red, green, blue].every((each, at) =>
      Math.abs(each / most - colour[at] / Math.max(...colour)) < tolerance);
  };
  const seen = new Uint8Array(width * height);
  const spots = [];
  for (let first = 0; first < seen.length; first++) {
    if (seen[first] || !hue(first)) continue;
    const waiting = [first];
    seen[first] = 1;
    let [count, right, down, top] = [0, 0, 0, height];
    while (waiting.length > 0) {
      const at = waiting.pop();
      const x = at % width;
      count += 1;
      right += x;
      down += Math.floor(at / width);
      top = Math.min(top, Math.floor(at / width));
      for (const next of [x > 0 ? at - 1 : -1, x < width - 1 ? at + 1 : -1, at - width, at + width]) {
        if (next >= 0 && next < seen.length && !seen[next] && hue(next)) { seen[next] = 1; waiting.push(next); }
      }
    }
    spots.push([count, right / count, down / count, top]);
  }
  return spots.sort((one, other) => other[0] - one[0]);
}
"""
DRAWN_AT_MOST: Final = 20
"""Draw calls, whatever the number of entities."""
OF_SCREENSHOTS: Final = "GPU stall due to ReadPixels"
"""What Chromium says when a picture of what it draws is taken."""
SMALLEST: Final = 25
"""Pixels of a spot: below are edges and signs."""


class Spot(NamedTuple):
    """A connected area of one colour."""

    pixels: int
    x: float
    y: float
    top: float


async def is_drawn(page: Any) -> None:
    """Everything has its place and is drawn."""
    await page.locator(".map canvas").first.wait_for()
    await eventually(lambda: _is_still(page))


async def _is_still(page: Any) -> bool:
    said = await page.locator(".map-state").text_content()
    return said == "" and int(await figure(page, "calls") or 0) > 1


async def figure(page: Any, name: str) -> str:
    """What the map says of its last frame: `calls`, `frames`, `triangles`, `script-ms`."""
    return await page.locator(".map").get_attribute(f"data-{name}") or ""


async def spots(page: Any, variable: str, *, tolerance: float = 0.13) -> list[Spot]:
    """The areas that have the colour of a variable of the style sheet, in any light; the largest first."""
    colour = await page.evaluate(
        f"getComputedStyle(document.documentElement).getPropertyValue({json.dumps(variable)}).trim()"
    )
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    names = page.locator(".map > canvas").nth(1)
    tools = page.locator(".map-tools")
    for each in (names, tools):
        await each.evaluate("(each) => { each.style.opacity = 0; }")
    picture = await page.locator(".map").screenshot()
    for each in (names, tools):
        await each.evaluate("(each) => { each.style.opacity = 1; }")
    source = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    found = await page.evaluate(_SPOTS, [source, [red, green, blue], tolerance])
    return [Spot(int(pixels), x, y, top) for pixels, x, y, top in found if pixels >= SMALLEST]


async def spot(page: Any, variable: str) -> Spot:
    """The largest of them, when there is one: what was dimmed is drawn later than the address of the page changes."""
    found: list[Spot] = await eventually(lambda: spots(page, variable))
    return found[0]


async def corner(page: Any) -> tuple[float, float]:
    """Where the picture begins in the window."""
    box = await page.locator(".map").bounding_box()
    return box["x"], box["y"]


async def click(page: Any, spot: Spot) -> None:
    """With the mouse, where a spot is."""
    left, top = await corner(page)
    await page.mouse.click(left + spot.x, top + spot.y)


def is_same(one: list[Spot], other: list[Spot], *, within: float = 1.0) -> bool:
    """Whether both pictures have their spots at the same places."""
    places = [sorted((spot.x, spot.y) for spot in each) for each in (one, other)]
    return len(one) == len(other) and all(
        abs(a[0] - b[0]) <= within and abs(a[1] - b[1]) <= within for a, b in zip(*places, strict=True)
    )
