// Whether this browser can draw the maps, and by what. Loads nothing of them.

export type Rendering = "hardware" | "software" | "none";

let known: Rendering | null = null;

/** `software`: the processor draws, which is slow. */
export function rendering(): Rendering {
  known ??= probe();
  return known;
}

function probe(): Rendering {
  const context = document.createElement("canvas").getContext("webgl2");
  if (context === null) return "none";
  const info = context.getExtension("WEBGL_debug_renderer_info");
  const name = String(info === null ? "" : context.getParameter(info.UNMASKED_RENDERER_WEBGL));
  context.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(name) ? "software" : "hardware";
}
