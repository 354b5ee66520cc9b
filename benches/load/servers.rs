//! Gateway and nginx: their files, their processes, what those use.

use std::collections::HashMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::{self, Client};
use crate::measure::{median, once};
use crate::upstream::Upstream;
use crate::{Options, Outcome, scenario};

/// The clients' key: of this run only, on loopback only.
pub(crate) const KEY: &str = "bench-key-of-no-worth-0123456789";
const CHAT: &str = "/v1/chat/completions";
/// Longer than any start takes.
const START: Duration = Duration::from_secs(20);

/// A folder that goes with the run.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Outcome<Self> {
        let path = std::env::temp_dir().join(format!("agp-bench-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn sub(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Upstream,
    Nginx,
    Gateway,
}

/// An address to load, and the processes behind it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) addr: SocketAddr,
    pub(crate) processes: Vec<u32>,
}

impl Target {
    /// nginx tells streams by their path, since it does not look into bodies.
    pub(crate) fn path(&self, stream: bool) -> &'static str {
        match (self.kind, stream) {
            (Kind::Nginx, true) => "/stream/v1/chat/completions",
            _ => CHAT,
        }
    }
}

/// A process that ends with the run.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM, so that nginx takes its worker along.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            if matches!(self.0.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything that is measured.
pub(crate) struct Targets {
    upstream: Target,
    nginx: Target,
    gateway: Target,
    _processes: [Process; 2],
}

impl Targets {
    /// Upstream, nginx, gateway.
    pub(crate) fn all(&self) -> [&Target; 3] {
        [&self.upstream, &self.nginx, &self.gateway]
    }

    /// The gateway's memory now and at most, in KiB.
    pub(crate) fn gateway_memory(&self) -> Outcome<(u64, u64)> {
        memory(self.gateway.processes[0])
    }
}

/// What starting the gateway takes.
#[derive(Debug)]
pub(crate) struct Starts {
    /// From exec to `/readyz`, milliseconds, in an empty state folder and in one that was used before.
    pub(crate) ready_new: f64,
    pub(crate) ready_again: f64,
    /// From exec to the first chat answer, sign-in at the upstream included.
    pub(crate) chat_new: f64,
    pub(crate) chat_again: f64,
    /// Resident memory, KiB, two seconds after the start and before the first request.
    pub(crate) idle_kib: u64,
}

/// Starts and stops the gateway a few times.
pub(crate) fn time_starts(
    options: &Options,
    folder: &Folder,
    upstream: &mut Upstream,
) -> Outcome<Starts> {
    let (mut new, mut again) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for n in 0..options.starts {
        let place = folder.sub(&format!("start-{n}"))?;
        for samples in [&mut new, &mut again] {
            let began = Instant::now();
            let (_process, addr) = start_agp(options, &place, upstream)?;
            samples.0.push(began.elapsed().as_secs_f64() * 1000.0);
            let first = &scenario::all()[0];
            let request = client::post(CHAT, &first.body);
            once(upstream, &mut Client::connect(addr, &request)?)?;
            samples.1.push(began.elapsed().as_secs_f64() * 1000.0);
        }
    }
    let (process, _) = start_agp(options, &folder.sub("idle")?, upstream)?;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) {
        upstream.poll()?;
    }
    Ok(Starts {
        ready_new: median(&mut new.0),
        ready_again: median(&mut again.0),
        chat_new: median(&mut new.1),
        chat_again: median(&mut again.1),
        idle_kib: memory(process.0.id())?.0,
    })
}

/// Starts nginx and the gateway for the rounds.
pub(crate) fn start(
    options: &Options,
    folder: &Folder,
    upstream: &mut Upstream,
) -> Outcome<Targets> {
    let (agp, agp_addr) = start_agp(options, &folder.sub("agp")?, upstream)?;
    let (nginx, nginx_addr) = start_nginx(options, &folder.sub("nginx")?, upstream)?;
    let target = |kind, addr, processes| Target {
        kind,
        addr,
        processes,
    };
    Ok(Targets {
        upstream: target(Kind::Upstream, upstream.addr(), Vec::new()),
        nginx: target(Kind::Nginx, nginx_addr, children(nginx.0.id())?),
        gateway: target(Kind::Gateway, agp_addr, vec![agp.0.id()]),
        _processes: [agp, nginx],
    })
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A command on the gateway's core.
fn pinned(options: &Options, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command
        .arg("-c")
        .arg(options.gateway_core.to_string())
        .arg(program)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn start_agp(
    options: &Options,
    place: &Path,
    upstream: &mut Upstream,
) -> Outcome<(Process, SocketAddr)> {
    let addr = free_address()?;
    let file = place.join("agp.toml");
    fs::write(&file, agp_toml(addr, upstream.addr()))?;
    // Not beside agp.toml: that folder is watched.
    let log_file = place.with_extension("log");
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(&log_file)?;
    let child = pinned(options, &options.agp)
        .args(["serve", "--config"])
        .arg(&file)
        .stderr(log)
        .spawn()?;
    let process = Process(child);
    wait(addr, "/readyz", upstream).map_err(|error| {
        let log = fs::read_to_string(&log_file).unwrap_or_default();
        format!("agp did not start: {error}\n{log}")
    })?;
    Ok((process, addr))
}

/// Key, log rows and limits are on; the limits let 64 requests through at a time.
fn agp_toml(listen: SocketAddr, upstream: SocketAddr) -> String {
    let account = |name: &str| {
        format!("\n[accounts.{name}]\nupstream = \"bench\"\nrefresh_token = \"bench-{name}\"\n")
    };
    let accounts: String = ["alice", "bob", "carol", "dave"].map(account).concat();
    format!(
        "version = 1\n\n\
         [server]\nlisten = \"{listen}\"\n\n\
         [log]\nlevel = \"info\"\n\n\
         [routing]\nmax_concurrent_per_account = 20\nmax_concurrent_per_model = 80\n\n\
         [upstreams.bench]\nkind = \"antigravity\"\nbase_urls = [\"http://{upstream}\"]\n\
         oauth = {{ client_id = \"bench\", client_secret = \"bench\", auth_url = \"http://{upstream}/auth\", \
         token_url = \"http://{upstream}/token\", userinfo_url = \"http://{upstream}/userinfo\" }}\n\
         {accounts}\n\
         [keys.bench]\nkey = \"{KEY}\"\n\n\
         [models.\"gemini-2.5-flash\"]\nroute = [\"bench/gemini-2.5-flash\"]\n"
    )
}

fn start_nginx(
    options: &Options,
    place: &Path,
    upstream: &mut Upstream,
) -> Outcome<(Process, SocketAddr)> {
    let addr = free_address()?;
    let file = place.join("nginx.conf");
    fs::write(&file, nginx_conf(place, addr, upstream.addr()))?;
    let child = pinned(options, &options.nginx)
        .arg("-p")
        .arg(place)
        .arg("-c")
        .arg(&file)
        .stderr(fs::File::create(place.join("stderr.log"))?)
        .spawn()?;
    let process = Process(child);
    wait(addr, "/readyz", upstream).map_err(|error| {
        let log = fs::read_to_string(place.join("stderr.log")).unwrap_or_default();
        format!("nginx did not start: {error}\n{log}")
    })?;
    Ok((process, addr))
}

/// One worker; keep-alive on both sides; bodies stay in memory; a log line for each request as the gateway writes one.
fn nginx_conf(place: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let place = place.display();
    // Started by root, nginx would change to a user who may not write here.
    let user =
        if fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0) {
            "user root;"
        } else {
            ""
        };
    format!(
        "{user}\nworker_processes 1;\ndaemon off;\npid {place}/nginx.pid;\nerror_log {place}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
         access_log {place}/access.log;\n\
         client_body_temp_path {place}/body;\nproxy_temp_path {place}/proxy;\nfastcgi_temp_path {place}/fastcgi;\n\
         uwsgi_temp_path {place}/uwsgi;\nscgi_temp_path {place}/scgi;\n\
         client_max_body_size 32m;\nclient_body_buffer_size 2m;\nkeepalive_requests 100000000;\ntcp_nodelay on;\n\
         proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_buffer_size 16k;\nproxy_buffers 8 16k;\n\
         upstream bench {{ server {upstream}; keepalive 128; keepalive_requests 100000000; }}\n\
         server {{\nlisten {listen};\n\
         location = /readyz {{ access_log off; return 200; }}\n\
         location / {{ proxy_pass http://bench; }}\n\
         location /stream/ {{ proxy_pass http://bench; proxy_buffering off; }}\n\
         }}\n}}\n"
    )
}

/// Waits for a 200.
fn wait(addr: SocketAddr, path: &str, upstream: &mut Upstream) -> Outcome<()> {
    let began = Instant::now();
    let request = client::get(path);
    loop {
        let answer = Client::connect(addr, &request)
            .map_err(Into::into)
            .and_then(|mut client| once(upstream, &mut client));
        match answer {
            Ok(_) => return Ok(()),
            Err(error) if began.elapsed() > START => return Err(error),
            Err(_) => {
                upstream.poll()?;
                std::thread::sleep(Duration::from_micros(500));
            }
        }
    }
}

fn children(parent: u32) -> Outcome<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(id) = name.to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(status) = fs::read_to_string(format!("/proc/{id}/status")) else {
            continue;
        };
        if field(&status, "PPid:") == Some(u64::from(parent)) {
            found.push(id);
        }
    }
    if found.is_empty() {
        return Err("nginx has no worker".into());
    }
    Ok(found)
}

/// A number of `/proc/PID/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Resident memory now and at most, KiB.
fn memory(process: u32) -> Outcome<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let of = |name| field(&status, name).ok_or("no memory in /proc");
    Ok((of("VmRSS:")?, of("VmHWM:")?))
}

/// CPU time by thread, in nanoseconds.
pub(crate) struct CpuTime(HashMap<String, u64>);

impl CpuTime {
    /// What was used since. A thread that ended in between counts for nothing.
    pub(crate) fn since(&self, before: &Self) -> Duration {
        let used = self
            .0
            .iter()
            .map(|(id, now)| now.saturating_sub(before.0.get(id).copied().unwrap_or(0)));
        Duration::from_nanos(used.sum())
    }
}

/// The scheduler's own account of each thread: exact, where `utime` and `stime` come in steps of 10 ms.
pub(crate) fn cpu_time(processes: &[u32]) -> Outcome<CpuTime> {
    let mut threads = HashMap::new();
    for process in processes {
        for entry in fs::read_dir(format!("/proc/{process}/task"))? {
            let entry = entry?;
            // A thread may end while the list is read.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else {
                continue;
            };
            let used = text.split_whitespace().next().and_then(|n| n.parse().ok());
            let id = entry.file_name().to_string_lossy().into_owned();
            threads.insert(id, used.ok_or("no CPU time in /proc")?);
        }
    }
    Ok(CpuTime(threads))
}
