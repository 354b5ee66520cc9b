-- The original's tables as original.md (section 7) tells them. Every value is made up.
CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT UNIQUE,
    refresh_token TEXT NOT NULL,
    access_token TEXT,
    token_expires_at INTEGER,
    project_id TEXT,
    tier TEXT DEFAULT 'free-tier',
    status TEXT DEFAULT 'active',
    quota_remaining REAL DEFAULT 1,
    quota_reset_time INTEGER,
    last_used_at INTEGER,
    error_count INTEGER DEFAULT 0,
    last_error TEXT,
    created_at INTEGER
);
CREATE TABLE api_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT UNIQUE NOT NULL,
    name TEXT,
    status TEXT DEFAULT 'active',
    request_count INTEGER DEFAULT 0,
    token_count INTEGER DEFAULT 0,
    created_at INTEGER,
    last_used_at INTEGER
);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT, updated_at INTEGER);
CREATE TABLE request_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER,
    api_key_id INTEGER,
    model TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    total_tokens INTEGER,
    thinking_tokens INTEGER,
    status TEXT,
    latency_ms INTEGER,
    error_message TEXT,
    created_at INTEGER
);
CREATE TABLE notes (text TEXT);

INSERT INTO accounts (email, refresh_token, access_token, project_id, status, last_error) VALUES
    ('alice@example.com', 'sim-refresh-alice', 'fake-access-token', 'fake-project-1', 'active', NULL),
    ('bob@example.com', 'sim-refresh-bob', NULL, NULL, 'disabled', NULL),
    ('carol.smith@example.com', 'sim-refresh-carol', NULL, NULL, 'error', 'fake-last-error'),
    ('ALICE@example.com', 'sim-refresh-dave', NULL, NULL, 'active', NULL),
    ('erin@example.com', '', NULL, NULL, 'active', NULL);
INSERT INTO api_keys (key, name, status, request_count) VALUES
    ('sk-fake0123456789abcdef0123456789ab', 'Default Key', 'active', 41),
    ('sk-fakebbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'Old one', 'disabled', 7),
    ('sk-short', 'Short', 'active', 0),
    ('sk-fake-static-key-000000000000', 'The same as API_KEY', 'active', 0);
INSERT INTO settings (key, value) VALUES
    ('defaultModel', 'gemini-2.5-flash'),
    ('pollingStrategy', 'roundrobin'),
    ('colour', 'fake-colour');
INSERT INTO request_logs (model, status) VALUES ('gemini-2.5-flash', 'success'), ('gemini-2.5-pro', 'error');
