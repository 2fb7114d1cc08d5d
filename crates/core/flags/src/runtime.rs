//! Where the SDK that asks runs.

/// A place where flags are evaluated for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// A browser or an app.
    Client,
    /// A server.
    Server,
    /// Whoever asks wants the flags of both.
    All,
    /// Nobody can tell.
    Unknown,
}

const BROWSERS: &[&str] = &["Mozilla/", "Chrome/", "Safari/", "Firefox/", "Edge/"];
const SERVERS: &[&str] = &["python", "ruby", "php", "java", "go", "node", "dotnet", "elixir"];
const CLIENTS: &[&str] = &["android", "ios", "react-native", "flutter"];

impl Runtime {
    /// What a request says about itself, then what its headers show: `is_browser` when it has one that only browsers
    /// send.
    pub fn detect(said: Option<&str>, user_agent: Option<&str>, is_browser: bool) -> Self {
        match said {
            Some(said) => Self::parse(said),
            None => user_agent.and_then(Self::of_agent).unwrap_or(if is_browser {
                Self::Client
            } else {
                Self::Unknown
            }),
        }
    }

    fn parse(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "client" => Self::Client,
            "server" => Self::Server,
            _ => Self::All,
        }
    }

    fn of_agent(agent: &str) -> Option<Self> {
        let is_sdk = |names: &[&str]| {
            let library = agent.strip_prefix("posthog-");
            library.is_some_and(|rest| {
                names.iter().any(|name| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')))
            })
        };
        let names = |words: &[&str]| words.iter().any(|word| agent.contains(word));
        if names(BROWSERS) {
            Some(Self::Client)
        } else if is_sdk(SERVERS) || names(&["python-requests/", "curl/"]) {
            Some(Self::Server)
        } else if is_sdk(CLIENTS) {
            Some(Self::Client)
        } else {
            None
        }
    }

    /// Whether a flag for this runtime is of use.
    pub(crate) fn accepts(self, flag: Option<&str>) -> bool {
        match (self, flag) {
            (Self::All, _) => true,
            (Self::Client, Some("server")) | (Self::Server, Some("client")) => false,
            (Self::Unknown, Some("client" | "server")) => false,
            _ => true,
        }
    }
}
