//! A real PostgreSQL server for the tests of this process: made on first use, gone when the process is.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{Client, NoTls};

/// Makes a cluster in the folder it is given, starts it, and stops it once nobody holds its standard input any more,
/// however that came about. `pg_ctl` stops the process whose number it wrote down itself.
const SCRIPT: &str = r#"
trap '' INT
home=$1; bin=$2; port=$3
cd "$home" || exit 1
if [ ! -d data ]; then
    "$bin/initdb" -D data -U tenrec -A trust -E UTF8 --no-locale --no-sync >initdb.log 2>&1 || { cat initdb.log; exit 1; }
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -config tls.cnf \
        -keyout data/key.pem -out cert.pem >openssl.log 2>&1 || { cat openssl.log; exit 1; }
    chmod 600 data/key.pem
    cp hba.conf data/pg_hba.conf
fi
"$bin/pg_ctl" -D data -w -l server.log -o "-p $port -c listen_addresses=localhost -c unix_socket_directories=$home \
    -c fsync=off -c max_connections=200 -c shared_buffers=32MB -c ssl=on -c ssl_key_file=key.pem \
    -c ssl_cert_file=$home/cert.pem" start >/dev/null || { cat server.log; exit 1; }
echo ready
cat >/dev/null
"$bin/pg_ctl" -D data -m immediate stop >/dev/null 2>&1
cd / && rm -rf "$home"
"#;

const TLS: &str = "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=localhost\n\
                   [ext]\nsubjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n";

/// Everybody is believed, except the one that tests passwords.
const HBA: &str = "host all guarded all scram-sha-256\nhost all all all trust\n";

/// Where the server listens.
pub struct Server {
    port: u16,
    home: PathBuf,
    /// Held open for as long as this process lives; its end is the sign to stop.
    _life: ChildStdin,
}

/// The server, started when it is asked for first.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(start)
}

fn start() -> Server {
    let bin = binaries();
    let home = tempfile::Builder::new().prefix("tenrec-postgres").tempdir().expect("a folder").keep();
    std::fs::write(home.join("tls.cnf"), TLS).expect("written");
    std::fs::write(home.join("hba.conf"), HBA).expect("written");
    let user = other_user();
    if let Some((uid, gid)) = user {
        chown(&home, Some(uid), Some(gid)).expect("root may give a folder away");
    }
    let mut said = String::new();
    // Between looking for a free port and listening on it somebody else may have taken it.
    for _ in 0..3 {
        let port = free_port();
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh"]).args([&home, &bin]).arg(port.to_string());
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let spawned = command.current_dir("/").spawn();
        let mut child = spawned.expect("a shell");
        let life = child.stdin.take().expect("piped");
        match ready(&mut child) {
            Ok(()) => return Server { port, home, _life: life },
            Err(text) => said = text,
        }
    }
    panic!("PostgreSQL did not start:\n{said}");
}

fn ready(child: &mut Child) -> Result<(), String> {
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut said = String::new();
    out.read_line(&mut said).expect("text");
    if said == "ready\n" {
        return Ok(());
    }
    out.read_to_string(&mut said).expect("text");
    Err(said)
}

/// The folder of `initdb` and its companions, the newest there is.
fn binaries() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let listed: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let all = versions.into_iter().rev().map(|(_, bin)| bin).chain(listed);
    let complete =
        |bin: &PathBuf| ["initdb", "pg_ctl", "postgres"].iter().all(|name| bin.join(name).exists());
    all.into_iter().find(complete).expect(
        "these tests need a PostgreSQL server: neither /usr/lib/postgresql/*/bin nor PATH has initdb, pg_ctl and \
         postgres. Install it (Debian: apt-get install postgresql); the tests start one of their own",
    )
}

/// Somebody without rights to run the server as, because it refuses to run as root; nobody else when we are not.
fn other_user() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> Option<u32> {
        let said = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(said.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let users = ["postgres", "nobody"].into_iter();
    let mut found = users.filter_map(|user| Some((id(&["-u", user])?, id(&["-g", user])?)));
    Some(found.next().expect("a user `postgres` or `nobody` to run the server as"))
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

impl Server {
    /// The port it listens on, at localhost.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The certificate it shows, which is good for `localhost` only.
    pub fn certificate(&self) -> PathBuf {
        self.home.join("cert.pem")
    }

    /// The URL of a database, without TLS.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://tenrec@localhost:{}/{database}?sslmode=disable", self.port)
    }

    /// Makes a database with `options` that nobody else uses, and gives its name.
    pub async fn database(&self, options: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("case_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = connect(&self.url("postgres")).await;
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0 {options}");
        admin.batch_execute(&sql).await.expect("a database");
        name
    }
}

/// A connection that Tenrec knows nothing of.
pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connected");
    tokio::spawn(connection);
    client
}
