-- What is kept of figures: of each minute, and of each hour.
create table kgents.figure (
    id integer generated always as identity primary key,
    name text not null unique
);

-- The hours before `until` are made of their minutes. A sample that comes late moves it back.
create table kgents.rolled (
    only_row boolean primary key default true check (only_row),
    until timestamptz not null
);

-- A row is a part: what was read at once of one source's figures of one entity. Parts of the same time add up.
-- The arrays have an element for each figure; null: there was no number, or it is no counter.
do $$
declare
    step text;
begin
    foreach step in array array['pulse_1m', 'pulse_1h'] loop
        execute format($sql$
            create table kgents.%1$I (
                epoch integer not null,
                seq bigint not null,
                at timestamptz not null,
                subject bigint not null,
                last_at timestamptz not null,
                figures integer[] not null,
                n integer[] not null,
                nulls integer[] not null,
                mins float8[] not null,
                maxs float8[] not null,
                sums float8[] not null,
                lasts float8[] not null,
                increases float8[] not null,
                primary key (epoch, seq, subject, at)
            ) partition by range (at);
            create index %2$I on kgents.%1$I (subject, at desc);
        $sql$, step, step || '_of_subject');
    end loop;
end
$$;

-- Subjects are found by how they begin, whatever the collation of the database.
create index subject_by_beginning on kgents.subject (name text_pattern_ops);
