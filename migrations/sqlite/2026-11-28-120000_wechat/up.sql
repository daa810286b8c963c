-- The WeChat accounts (openids of the mini-program) that users sign in with.
CREATE TABLE wechat_bindings (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    app_id TEXT NOT NULL,
    openid_sealed BLOB NOT NULL,
    openid_hash BLOB NOT NULL,
    unionid_sealed BLOB,
    unionid_hash BLOB,
    bound_by TEXT NOT NULL,
    bound_at TEXT NOT NULL,
    ended_at TEXT,
    ended_because TEXT
);
CREATE UNIQUE INDEX wechat_bindings_openid ON wechat_bindings (openid_hash) WHERE ended_at IS NULL;
CREATE INDEX wechat_bindings_user ON wechat_bindings (user_id, id);

-- A session that began by WeChat says by which of them.
ALTER TABLE sessions ADD COLUMN wechat_binding_id BLOB REFERENCES wechat_bindings (id);
CREATE INDEX sessions_wechat_binding ON sessions (wechat_binding_id) WHERE wechat_binding_id IS NOT NULL;

-- Who WeChat says somebody is, until they have said which account is theirs.
CREATE TABLE wechat_tickets (
    id BLOB NOT NULL PRIMARY KEY,
    ticket_hash BLOB NOT NULL UNIQUE,
    app_id TEXT NOT NULL,
    openid_sealed BLOB NOT NULL,
    unionid_sealed BLOB,
    tries INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at TEXT,
    binding_id BLOB REFERENCES wechat_bindings (id)
);
CREATE INDEX wechat_tickets_expiry ON wechat_tickets (expires_at);
CREATE INDEX wechat_tickets_binding ON wechat_tickets (binding_id) WHERE binding_id IS NOT NULL;

CREATE TABLE wechat_binding_codes (
    id BLOB NOT NULL PRIMARY KEY,
    user_id BLOB NOT NULL REFERENCES users (id),
    code_hash BLOB NOT NULL UNIQUE,
    issued_by BLOB NOT NULL REFERENCES users (id),
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    used_at TEXT
);
CREATE INDEX wechat_binding_codes_user ON wechat_binding_codes (user_id);
CREATE INDEX wechat_binding_codes_issuer ON wechat_binding_codes (issued_by);

-- The access token of a mini-program, for all servers; one of them renews it.
CREATE TABLE wechat_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    app_id TEXT NOT NULL UNIQUE,
    sealed BLOB,
    expires_at TEXT,
    forced_at TEXT,
    quota_until TEXT,
    leased_by BLOB,
    leased_until TEXT,
    version INTEGER NOT NULL,
    CHECK ((sealed IS NULL) = (expires_at IS NULL)),
    CHECK ((leased_by IS NULL) = (leased_until IS NULL))
);

-- Which template tells what, and which of its fields says which part of it.
CREATE TABLE wechat_templates (
    id BLOB NOT NULL PRIMARY KEY,
    app_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    template_id TEXT NOT NULL,
    fields TEXT NOT NULL,
    page TEXT,
    version INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (app_id, kind)
);

-- How many messages of a template a WeChat account has still agreed to.
CREATE TABLE wechat_credits (
    binding_id BLOB NOT NULL REFERENCES wechat_bindings (id),
    template_id TEXT NOT NULL,
    credits INTEGER NOT NULL CHECK (credits >= 0),
    updated_at TEXT NOT NULL,
    PRIMARY KEY (binding_id, template_id)
);

CREATE TABLE wechat_messages (
    id BLOB NOT NULL PRIMARY KEY,
    binding_id BLOB NOT NULL REFERENCES wechat_bindings (id),
    kind TEXT NOT NULL,
    template_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    not_before TEXT NOT NULL,
    leased_by BLOB,
    leased_until TEXT,
    failure TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CHECK ((leased_by IS NULL) = (leased_until IS NULL)),
    CHECK (state = 'waiting' OR leased_by IS NULL)
);
CREATE INDEX wechat_messages_open ON wechat_messages (id) WHERE state = 'waiting';
CREATE INDEX wechat_messages_over ON wechat_messages (updated_at) WHERE state <> 'waiting';
CREATE INDEX wechat_messages_binding ON wechat_messages (binding_id);

-- Codes to scan, as WeChat has drawn them: each is asked for once.
CREATE TABLE wechat_qr_codes (
    id BLOB NOT NULL PRIMARY KEY,
    app_id TEXT NOT NULL,
    resource TEXT NOT NULL,
    record_id BLOB NOT NULL,
    page TEXT NOT NULL,
    environment TEXT NOT NULL,
    media_type TEXT NOT NULL,
    image BLOB NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (record_id, resource, app_id, page, environment)
);
