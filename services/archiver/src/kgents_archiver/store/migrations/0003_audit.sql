-- The audit trail in one chain: the hash of each record covers the one before (kgents_archiver.chain). Rows are only
-- ever added. Two that follow the same one would be a fork, so `prev` is unique.
create table kgents.audit (
    n bigint primary key,
    prev bytea not null unique,
    hash bytea not null,
    life integer not null,
    seq bigint not null,
    at timestamptz not null,
    subject text not null,
    body bytea not null,
    unique (life, seq)
);
create index audit_at on kgents.audit using brin (at);

create function kgents.audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'kgents.audit: records are only added';
end
$$;
create trigger audit_is_append_only before update or delete or truncate on kgents.audit
    for each statement execute function kgents.audit_is_append_only();
