//! Files that look as people write them.

/// One set of files, the root first.
pub(super) type Texts = Vec<(&'static str, String)>;

/// Headers in every order, comments everywhere.
const ODD: &str = r#"# The gateway of the team.
#:schema docs/agp.schema.json
version = 0x1 # of the form
accounts.zoe = { upstream = 'main', api_key = { env = "ZOE" }, enabled = true } # in one line
accounts . yan . upstream = "main"
accounts . yan . api_key . env = "YAN"   # dotted
accounts . yan . tags = ["x"]

[ routing ]   # how accounts are picked
# The default is "weighted".
strategy   = 'round_robin'
default_model = "fast"
# max_queue = 10
queue_timeout = """60s"""

["keys".ci.budget] # before its table
usd = 5e1
per = "month"

[keys.ci]
  name = "CI \"runners\""
  group = 'eng'
  key = { env = "CI" }
  models = [
    "fast", # the usual
    # the expensive one
    "slow.2"  , # with a space
    'gemini-*'
  ] # globs
  accounts = [ "zoe"
             , 'yan'
             , "tag:x" ]
  tokens_per_day = 20_000_000

# --- upstreams ---

[upstreams]
# Both at the same place.
main.kind = "openai"
main.base_urls = [ "https://example.invalid/v1",
  "https://other.invalid/v1" ]
spare = {kind="openai",base_urls=["https://example.invalid"]}

[groups.'eng'] # nothing yet
[groups."ops team"]
rpm = +1_000
# enabled = true


[models.fast]
route = ["main/m-1", "spare/m-1"] # in order
thinking.budget = 1_024
[models."slow.2"]
route = [
	"main/m-2",
]
aliases = [] # none so far
thinking = { level = "high" }
# The end.
"#;

/// One table after the other without a blank line, no line break at the end.
const TIGHT: &str = "version = 1\n[upstreams.u]\nkind = \"openai\"\nbase_urls = [\"https://example.invalid\"]\n[accounts.a]\nupstream = \"u\"\napi_key = { env = \"A\" }\n# of b\n[accounts.b]\nupstream = \"u\"\napi_key.env = \"B\"\ntags = [\"x\", \"y\", ]\n[keys.k]\nkey = { file = \"k\" }\naccounts = [\n  \"a\",\n  \"b\" ]\n[models.m]\nroute = [\"u/m\"]";

/// Everything in inline tables over several lines.
const INLINE: &str = r#"version = 1
upstreams = { u = { kind = "openai", base_urls = ["https://example.invalid"] } }
accounts = {
  # the first
  a = { upstream = "u", api_key = { env = "A" } }, # of a
  b = { upstream = "u", api_key.env = "B", tier = 2 }
}
keys = { k = { key = { env = "K" }, accounts = ["a"], group = "g" }, }
groups = { g = {} }
"#;

const ROOT: &str = r#"version = 1
include = ["more.d/*.toml"]

[log]
level = "info,agp=debug"

[upstreams.u]
kind = "openai"
base_urls = ["https://example.invalid"]

# Those of the platform team.
[accounts.p1]
upstream = "u"
api_key = { env = "P1" }
tags = ["platform"]
"#;

const TEAM_A: &str = r#"# Team A: ask before you change this.

# The first of ours.
[accounts.a1]
upstream = "u"
api_key = { env = "A1" }
tags = ["a"] # always

[accounts.a2]
upstream = "u"
api_key = { env = "A2" }
tags = ["a"]
# enabled = false

[routing]
max_queue = 5

[keys.a]
key = { env = "KA" }
group = "a"
accounts = ["a1", "a2", "p1"]
"#;

const TEAM_B: &str = "# Only comments so far.\n";

const GROUPS: &str = "version = 1\n\n[groups]\na.rpm = 5\na.max_concurrent = 1\n\n# of b\nb = { rpm = 6 }\n\n[models]\nm = { route = [\"u/x\"] }\n";

/// All of them.
pub(super) fn all() -> Vec<Texts> {
    let one = |text: &str| vec![("agp.toml", text.to_owned())];
    vec![
        one(include_str!("../../../../agp.toml.example")),
        one(include_str!("../../../../examples/gitops.toml")),
        one(include_str!("../../../../examples/minimal.toml")),
        one(ODD),
        one(TIGHT),
        one(INLINE),
        vec![
            ("conf/agp.toml", ROOT.to_owned()),
            ("conf/more.d/a.toml", TEAM_A.to_owned()),
            ("conf/more.d/b.toml", TEAM_B.to_owned()),
            ("conf/more.d/c.toml", GROUPS.to_owned()),
        ],
    ]
}

/// How many ways [`varied`] knows.
pub(super) const WAYS: usize = 6;

/// The same with other line breaks, a byte order mark, another end.
pub(super) fn varied(text: &str, way: usize) -> String {
    match way {
        0 => text.to_owned(),
        1 => text.replace('\n', "\r\n"),
        2 => {
            let mut lines = text.split_inclusive('\n').enumerate();
            lines.by_ref().fold(String::new(), |out, (n, line)| {
                let line = if n % 3 == 0 {
                    line.replace('\n', "\r\n")
                } else {
                    line.to_owned()
                };
                out + &line
            })
        }
        3 => format!("\u{feff}{text}"),
        4 => text.trim_end_matches('\n').to_owned(),
        _ => format!("\u{feff}{}\r\n\r\n", text.trim_end().replace('\n', "\r\n")),
    }
}
