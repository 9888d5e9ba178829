// A name, of which the end is seen too where it is too long: that is where the names of one program differ.

const END = 5;
const LONG = 14;

export function Name({ name }: { name: string }) {
  if (name.length < LONG) return <span class="text">{name}</span>;
  const at = name.length - END;
  return (
    <span class="text" title={name}>
      <span class="for-readers">{name}</span>
      <span class="ends-seen" aria-hidden="true">
        <span class="begin">{name.slice(0, at)}</span>
        <span>{name.slice(at)}</span>
      </span>
    </span>
  );
}
