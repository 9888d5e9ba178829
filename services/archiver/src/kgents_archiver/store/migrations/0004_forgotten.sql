-- What was removed on request, once for each time. Answers about a time before `before` say so.
create table kgents.forgotten (
    id integer generated always as identity primary key,
    before timestamptz not null,
    entries bigint not null,
    forgotten_at timestamptz not null default now()
);

-- The content of a record may be forgotten, and nothing else of it: the chain covers the SHA-256 of the content.
alter table kgents.audit add column forgotten bytea;

drop trigger audit_is_append_only on kgents.audit;
create trigger audit_is_append_only before delete or truncate on kgents.audit
    for each statement execute function kgents.audit_is_append_only();

create function kgents.audit_forgets_content() returns trigger language plpgsql as $$
begin
    if old.forgotten is null and new.forgotten = sha256(old.body) and new.body = ''
       and row(new.n, new.prev, new.hash, new.life, new.seq, new.at, new.subject)
         = row(old.n, old.prev, old.hash, old.life, old.seq, old.at, old.subject) then
        return new;
    end if;
    raise exception 'kgents.audit: records are only added';
end
$$;
create trigger audit_forgets_content before update on kgents.audit
    for each row execute function kgents.audit_forgets_content();
