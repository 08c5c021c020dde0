//! Foreign programs that die with the test, however it ends.

use std::{
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
};

/// Runs the command after it in a process group of its own, and kills the
/// whole group once standard input is closed, which also a SIGKILL of the test
/// does. Ends when the command does. (A parent-death signal would not reach
/// the children's children, and fires when a test's thread ends.)
const SUPERVISE: &str = r#"
set -m
"$@" </dev/null &
while kill -0 "$!" 2>/dev/null; do
  read -r -t 0.2 _
  [ $? -gt 128 ] || break
done
kill -KILL -- "-$!" 2>/dev/null
wait 2>/dev/null
"#;

/// A running program. Dropping it kills it and what it started.
#[derive(Debug)]
pub(crate) struct Child {
    supervisor: process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `command`; what it says goes into `log`.
    pub(crate) fn spawn(command: &[String], env: &[(&str, String)], log: &Path) -> Self {
        let file = File::create(log).expect("a log");
        let supervisor = Command::new("bash")
            .args(["-c", SUPERVISE, "supervise"])
            .args(command)
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            // A Ctrl-C is for the test; the supervisor learns of it by the pipe.
            .process_group(0)
            .spawn()
            .expect("bash starts");
        Self { supervisor, log: log.to_owned() }
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.supervisor.try_wait().expect("a child").is_some()
    }

    /// The end of what it said.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(2000)..]).into_owned()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().expect("a child");
    }
}

/// Ports of the loopback that were free a moment ago.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    held.map(|listener| listener.local_addr().expect("an address").port())
}

/// A port of the loopback as an address.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
