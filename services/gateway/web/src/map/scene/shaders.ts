// The programs of the graphics card. All read an entity's row (see entityRows.ts) and its island's by number, so that
// motion, levels of detail and emphasis cost no script.

/** Where entities and islands are, now. */
const places = /* glsl */ `
  precision highp float;
  uniform highp sampler2D entities;
  uniform highp sampler2D islands;
  uniform float time;
  uniform float isDimmed;
  uniform float ground;
  uniform vec3 page;

  vec4 row(float slot, int texel) {
    int at = int(slot);
    return texelFetch(entities, ivec2((at & 255) * 4 + texel, at >> 8), 0);
  }
  /** x, z, radius, whether it is open. */
  vec4 islandOf(float slot) {
    int at = int(slot);
    return texelFetch(islands, ivec2(at & 255, at >> 8), 0);
  }
  /** Of an entity: its place, or its island's middle while that is a bubble; w is 0 if it is not to be seen. */
  vec4 placeOf(float slot) {
    vec4 to = row(slot, 0);
    vec4 from = row(slot, 1);
    vec4 island = islandOf(row(slot, 2).w);
    float moved = smoothstep(0.0, 0.3, time - from.w);
    vec3 at = mix(from.xyz, to.xyz, moved);
    return vec4(mix(vec3(island.x, 0.0, island.y), at, island.w), island.w * row(slot, 3).w);
  }
  /** On the ground, from the middle of one island to that of another, bent so that lines of a pair run together. */
  vec3 roadAt(vec4 from, vec4 to, float share) {
    vec2 way = to.xy - from.xy;
    vec2 middle = (from.xy + to.xy) * 0.5 + vec2(-way.y, way.x) * 0.1;
    vec2 at = mix(mix(from.xy, middle, share), mix(middle, to.xy, share), share);
    return vec3(at.x, ground, at.y);
  }
  /** Within the frame, but never drawn. */
  const vec4 nowhere = vec4(2.0, 2.0, 2.0, 1.0);
`;

/** With BALL, a square that always faces the eye, of which the fragments make a ball: four corners, and perfectly round. */
export const nodeVertex = /* glsl */ `
  ${places}
  attribute float slot;
  uniform float motion;
  varying vec3 vColour;
  varying vec3 vNormal;
  varying float vStippled;
  varying float vFaint;
  void main() {
    vec4 place = placeOf(slot);
    vec4 look = row(slot, 2);
    vec4 state = row(slot, 3);
    int flags = int(state.x);
    float size = row(slot, 0).w;
    if (place.w < 0.5) { gl_Position = nowhere; return; }
    if ((flags & 1) != 0) size *= 1.0 + 0.14 * motion * sin(time * 5.0 + state.y);
    vColour = look.rgb;
    vStippled = (flags & 4) != 0 ? 1.0 : 0.0;
    vFaint = isDimmed * (1.0 - state.z);
    #ifdef BALL
      vec4 middle = viewMatrix * vec4(place.xyz, 1.0);
      vNormal = vec3(position.xy, 0.0);
      gl_Position = projectionMatrix * (middle + vec4(position.xy * size, 0.0, 0.0));
      // As near as the foremost point of the ball, so that lines that end in it do not lie over it.
      vec4 front = projectionMatrix * (middle + vec4(0.0, 0.0, size, 0.0));
      gl_Position.z = front.z / front.w * gl_Position.w;
    #else
      float turn = (flags & 2) != 0 ? motion * time * 1.6 : 0.0;
      mat3 turned = mat3(cos(turn), 0.0, -sin(turn), 0.0, 1.0, 0.0, sin(turn), 0.0, cos(turn));
      vNormal = turned * normal;
      gl_Position = projectionMatrix * viewMatrix * vec4(place.xyz + turned * position * size, 1.0);
    #endif
  }
`;

export const nodeFragment = /* glsl */ `
  precision highp float;
  uniform vec3 page;
  varying vec3 vColour;
  varying vec3 vNormal;
  varying float vStippled;
  varying float vFaint;
  void main() {
    if (vStippled > 0.5 && mod(floor(gl_FragCoord.x / 2.0) + floor(gl_FragCoord.y / 2.0), 2.0) > 0.5) discard;
    #ifdef BALL
      float away = dot(vNormal.xy, vNormal.xy);
      if (away > 1.0) discard;
      float light = dot(vec3(vNormal.xy, sqrt(1.0 - away)), mat3(viewMatrix) * normalize(vec3(0.35, 0.85, 0.45)));
    #else
      float light = dot(normalize(vNormal), normalize(vec3(0.35, 0.85, 0.45)));
    #endif
    vec3 lit = vColour * (0.8 + 0.24 * light);
    gl_FragColor = vec4(mix(lit, page, vFaint * 0.82), 1.0);
  }
`;

/** A line between two entities of one island, or, with \`arc\`, high above the map to another island. */
export const edgeVertex = /* glsl */ `
  ${places}
  attribute float one;
  attribute float other;
  attribute vec3 colour;
  attribute float opacity;
  uniform float arc;
  varying vec4 vColour;
  varying float vLength;
  varying float vDashed;
  void main() {
    vec4 from = placeOf(one);
    vec4 to = placeOf(other);
    bool isApart = arc > 0.0;
    if (!isApart && (from.w < 0.5 || to.w < 0.5)) { gl_Position = nowhere; return; }
    float distance = length(to.xyz - from.xyz);
    vec3 at = mix(from.xyz, to.xyz, position.x);
    at.y += arc * distance * 4.0 * position.x * (1.0 - position.x);
    float emphasis = row(one, 3).z * row(other, 3).z;
    float strength = mix(1.0, mix(0.12, 1.6, emphasis), isDimmed);
    vDashed = opacity < 0.0 ? 1.0 : 0.0;
    vColour = vec4(colour, min(1.0, abs(opacity) * strength));
    vLength = position.x * distance;
    gl_Position = projectionMatrix * viewMatrix * vec4(at, 1.0);
  }
`;

export const edgeFragment = /* glsl */ `
  precision highp float;
  varying vec4 vColour;
  varying float vLength;
  varying float vDashed;
  void main() {
    if (vDashed > 0.5 && fract(vLength * 2.2) > 0.55) discard;
    gl_FragColor = vColour;
  }
`;

/** All edges between two islands: one road. */
export const roadVertex = /* glsl */ `
  ${places}
  attribute float one;
  attribute float other;
  attribute vec3 colour;
  attribute float opacity;
  attribute float width;
  varying vec4 vColour;
  varying float vAcross;
  void main() {
    vec4 from = islandOf(one);
    vec4 to = islandOf(other);
    vec3 at = roadAt(from, to, position.x);
    vec3 ahead = roadAt(from, to, position.x + 0.02) - at;
    at.xz += normalize(vec2(-ahead.z, ahead.x)) * position.y * width;
    vColour = vec4(colour, opacity * mix(1.0, 0.35, isDimmed));
    vAcross = position.y;
    gl_Position = projectionMatrix * viewMatrix * vec4(at, 1.0);
  }
`;

export const roadFragment = /* glsl */ `
  precision highp float;
  varying vec4 vColour;
  varying float vAcross;
  void main() {
    gl_FragColor = vec4(vColour.rgb, vColour.a * (1.0 - smoothstep(0.6, 1.0, abs(vAcross))));
  }
`;

/** Requests and messages on their way. Between islands they take the road. */
export const particleVertex = /* glsl */ `
  ${places}
  attribute float one;
  attribute float other;
  attribute float phase;
  attribute float speed;
  attribute vec3 colour;
  uniform float pixels;
  uniform float isFlat;
  varying vec4 vColour;
  void main() {
    vec4 from = placeOf(one);
    vec4 to = placeOf(other);
    float fromIsland = row(one, 2).w;
    float toIsland = row(other, 2).w;
    float share = fract(time * speed + phase);
    vec3 at = mix(from.xyz, to.xyz, share);
    if (fromIsland != toIsland) {
      vec4 start = islandOf(fromIsland);
      vec4 end = islandOf(toIsland);
      bool isForward = fromIsland < toIsland;
      at = isForward ? roadAt(start, end, share) : roadAt(end, start, 1.0 - share);
      at.y += 0.1;
    } else if (from.w < 0.5 || to.w < 0.5) { gl_Position = nowhere; return; }
    float emphasis = row(one, 3).z * row(other, 3).z;
    vColour = vec4(colour, mix(1.0, emphasis, isDimmed * 0.9));
    gl_Position = projectionMatrix * viewMatrix * vec4(at, 1.0);
    gl_PointSize = clamp(0.3 * pixels / mix(gl_Position.w, 1.0, isFlat), 1.5, 7.0);
  }
`;

export const particleFragment = /* glsl */ `
  precision highp float;
  varying vec4 vColour;
  void main() {
    float away = length(gl_PointCoord - 0.5) * 2.0;
    gl_FragColor = vec4(vColour.rgb, vColour.a * (1.0 - smoothstep(0.6, 1.0, away)));
  }
`;

/** The ground of an island with its ring. */
export const ringVertex = /* glsl */ `
  ${places}
  attribute float slot;
  attribute vec3 colour;
  varying vec3 vColour;
  varying vec2 vAt;
  varying float vWidth;
  uniform float pixels;
  uniform float isFlat;
  void main() {
    vec4 island = islandOf(slot);
    vec3 at = vec3(island.x, ground + 0.05, island.y) + position * island.z;
    vColour = colour;
    vAt = position.xz;
    gl_Position = projectionMatrix * viewMatrix * vec4(at, 1.0);
    if (island.w < 0.5) gl_Position = nowhere;
    float seen = island.z * pixels / mix(gl_Position.w, 1.0, isFlat);
    vWidth = 1.6 / max(seen, 2.0);
  }
`;

export const ringFragment = /* glsl */ `
  precision highp float;
  uniform vec3 page;
  uniform vec3 panel;
  uniform float isDimmed;
  varying vec3 vColour;
  varying vec2 vAt;
  varying float vWidth;
  void main() {
    float away = length(vAt);
    if (away > 1.0) discard;
    float ring = smoothstep(1.0 - vWidth * 2.0, 1.0 - vWidth, away);
    vec3 floor = mix(panel, vColour, 0.05);
    vec3 border = mix(vColour, page, 0.25 + isDimmed * 0.4);
    gl_FragColor = vec4(mix(floor, border, ring), 1.0);
  }
`;

/** An island that is too far away to open. */
export const bubbleVertex = /* glsl */ `
  ${places}
  attribute float slot;
  attribute vec3 colour;
  varying vec3 vColour;
  varying vec3 vNormal;
  varying float vFaint;
  void main() {
    vec4 island = islandOf(slot);
    vColour = colour;
    vNormal = normal;
    vFaint = isDimmed;
    vec3 at = vec3(island.x, 0.0, island.y) + position * island.z * 0.8;
    gl_Position = island.w > 0.5 ? nowhere : projectionMatrix * viewMatrix * vec4(at, 1.0);
  }
`;

export const bubbleFragment = /* glsl */ `
  precision highp float;
  uniform vec3 page;
  varying vec3 vColour;
  varying vec3 vNormal;
  varying float vFaint;
  void main() {
    float light = dot(normalize(vNormal), normalize(vec3(0.35, 0.85, 0.45)));
    gl_FragColor = vec4(mix(vColour * (0.82 + 0.22 * light), page, vFaint * 0.6), 1.0);
  }
`;

/** Signs beside the colour: a cross, a triangle, a question mark's ring; and the rings of the selected and the hovered. */
export const markVertex = /* glsl */ `
  ${places}
  attribute float slot;
  attribute float sign;
  attribute vec3 colour;
  uniform float pixels;
  uniform float ratio;
  uniform float isFlat;
  uniform vec2 size;
  varying vec3 vColour;
  varying float vSign;
  varying float vFaint;
  varying float vIsBare;
  void main() {
    bool isOfIsland = sign >= 10.0;
    vec4 place;
    float radius;
    vFaint = 0.0;
    if (isOfIsland) {
      vec4 island = islandOf(slot);
      radius = island.z * 0.8;
      vec3 middle = vec3(island.x, 0.0, island.y);
      vec3 before = mix(normalize(cameraPosition - middle), vec3(0.0, 1.0, 0.0), isFlat);
      place = vec4(middle + before * radius, 1.0 - island.w);
    } else {
      place = placeOf(slot);
      radius = row(slot, 0).w;
      vFaint = isDimmed * (1.0 - row(slot, 3).z);
    }
    vSign = mod(sign, 10.0);
    vIsBare = isOfIsland ? 1.0 : 0.0;
    vColour = colour;
    gl_Position = projectionMatrix * viewMatrix * vec4(place.xyz, 1.0);
    float seen = radius * pixels / mix(gl_Position.w, 1.0, isFlat);
    bool isRing = vSign > 2.5;
    bool isTooSmall = !isRing && !isOfIsland && seen < 2.2 * ratio;
    if (place.w < 0.5 || isTooSmall) { gl_Position = nowhere; return; }
    gl_PointSize = isRing ? seen * 2.0 + 12.0 * ratio : clamp(seen * 1.3, 8.0 * ratio, (isOfIsland ? 26.0 : 15.0) * ratio);
    if (!isRing) gl_Position.y += (isOfIsland ? 0.0 : seen + gl_PointSize * 0.55) * 2.0 / size.y * gl_Position.w;
    gl_Position.z -= 0.002 * gl_Position.w;
  }
`;

export const markFragment = /* glsl */ `
  precision highp float;
  uniform vec3 page;
  varying vec3 vColour;
  varying float vSign;
  varying float vFaint;
  varying float vIsBare;
  float line(vec2 at, vec2 from, vec2 to) {
    vec2 way = to - from;
    return length(at - from - way * clamp(dot(at - from, way) / dot(way, way), 0.0, 1.0));
  }
  void main() {
    vec2 at = gl_PointCoord * 2.0 - 1.0;
    float away = length(at);
    float body;
    float sign = 0.0;
    if (vSign < 0.5) {
      body = 1.0 - step(0.95, away);
      sign = 1.0 - step(0.17, min(line(at, vec2(-0.42), vec2(0.42)), line(at, vec2(-0.42, 0.42), vec2(0.42, -0.42))));
    } else if (vSign < 1.5) {
      body = step(abs(at.x) * 1.75, at.y + 0.95) * step(at.y, 0.85);
      float up = vIsBare * 0.25;
      sign = 1.0 - step(0.13 + vIsBare * 0.05, min(line(at, vec2(0.0, -0.25 - up), vec2(0.0, 0.25 - up * 0.4)), length(at - vec2(0.0, 0.6))));
    } else if (vSign < 2.5) {
      body = step(0.55, away) * (1.0 - step(0.95, away));
    } else {
      float width = vSign < 3.5 ? 0.14 : 0.08;
      body = smoothstep(1.0 - width * 2.0, 1.0 - width * 1.4, away) * (1.0 - step(0.98, away));
    }
    // On a bubble the sign alone: the bubble is its body.
    if (vIsBare > 0.5 && vSign < 1.5) { body = sign; sign = 0.0; }
    if (body < 0.5) discard;
    gl_FragColor = vec4(mix(mix(vColour, page, sign), page, vFaint * 0.8), 1.0);
  }
`;
