//! Ctrl-C, SIGTERM and SIGHUP. The first asks for an orderly end, the second
//! for an immediate one.

use tokio::sync::watch;

/// How often a person has asked for the end.
pub(super) type Interrupts = watch::Receiver<u32>;

/// Listens from now on. Must come before Goose starts: Goose's own handler
/// would end the process at the second signal, with faults still in place.
pub(super) fn listen() -> Result<Interrupts, ctrlc::Error> {
    let (count, interrupts) = watch::channel(0);
    ctrlc::set_handler(move || count.send_modify(|n| *n += 1))?;
    Ok(interrupts)
}

/// Resolves when the end has been asked for at least `times` times.
pub(super) async fn asked(interrupts: &mut Interrupts, times: u32) {
    if interrupts.wait_for(|n| *n >= times).await.is_err() {
        // The handler lives as long as the process.
        std::future::pending::<()>().await;
    }
}
