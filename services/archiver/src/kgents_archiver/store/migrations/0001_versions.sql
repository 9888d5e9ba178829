-- What was read of a stream: one row for each time that it began, was made again, or went back.
create table kgents.epoch (
    id integer generated always as identity primary key,
    stream text not null,
    created text not null,
    began_at timestamptz not null,
    began_seq bigint not null,
    position text not null,
    seq bigint not null,
    read_until timestamptz not null
);
create index epoch_of_stream on kgents.epoch (stream, id desc);

create table kgents.subject (
    id bigint generated always as identity primary key,
    name text not null unique
);

-- What bodies are packed with. A row never changes: every body names the one it was made with.
create table kgents.dictionary (
    id smallint generated always as identity primary key,
    signal text not null,
    body bytea not null,
    made_at timestamptz not null default now()
);

-- Sequences that were gone before they could be read. Nothing is known of what they said until `until`.
create table kgents.gap (
    epoch integer not null references kgents.epoch,
    first_seq bigint not null,
    last_seq bigint not null,
    since timestamptz not null,
    until timestamptz not null,
    primary key (epoch, first_seq)
);

-- The days whose state at their beginning (00:00 UTC) is stored, and from when on each signal is kept.
create table kgents.base (
    signal text not null,
    day date not null,
    entries bigint not null,
    made_at timestamptz not null default now(),
    primary key (signal, day)
);
create table kgents.kept (
    signal text primary key,
    since date not null
);

do $$
declare
    signal text;
begin
    foreach signal in array array['topology', 'health', 'alert', 'incident', 'event'] loop
        execute format($sql$
            create table kgents.%1$I (
                epoch integer not null,
                seq bigint not null,
                at timestamptz not null,
                subject bigint not null,
                is_gone boolean not null,
                codec smallint not null,
                body bytea not null,
                primary key (epoch, seq, at)
            ) partition by range (at);
            create index %2$I on kgents.%1$I (subject, at desc, epoch desc, seq desc);
            create index %3$I on kgents.%1$I using brin (at);
        $sql$, signal, signal || '_of_subject', signal || '_at');
        if signal <> 'event' then
            execute format($sql$
                create table kgents.%1$I (
                    day date not null,
                    subject bigint not null,
                    epoch integer not null,
                    seq bigint not null,
                    at timestamptz not null,
                    codec smallint not null,
                    body bytea not null,
                    primary key (day, subject)
                ) partition by range (day);
            $sql$, signal || '_base');
        end if;
    end loop;
end
$$;
