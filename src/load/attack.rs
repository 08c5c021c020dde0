//! The one Goose attack: launches the users, and winds down when they are done.
//!
//! Users live in one long transaction each. Goose is told to run them for ever
//! (with `iterations` or a test plan it would print to standard output) and
//! ended through its killswitch once the last user has left.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use goose::{
    GooseAttack, GooseScheduler,
    client::GooseClientBuilder,
    config::GooseConfiguration,
    goose::{GooseUser, Scenario, Transaction, TransactionFunction, TransactionResult},
};
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use super::{LoadError, crew::Crew};

/// Goose has one killswitch for the whole process, so one attack at a time.
static ATTACK: Mutex<()> = Mutex::const_new(());

/// How often the killswitch is pressed again, and a user that is left over
/// asks whether it may go.
const AGAIN: Duration = Duration::from_millis(50);
/// How long Goose may take to wind down when all users have left.
const WIND_DOWN: Duration = Duration::from_secs(10);

/// A load stream with its users.
pub(crate) struct Squad {
    /// What they share.
    pub(crate) crew: Arc<Crew>,
    /// How many they are.
    pub(crate) users: u32,
}

/// Runs all squads until their last user has left, and Goose with them.
pub(crate) async fn run(host: &str, squads: Vec<Squad>) -> Result<(), LoadError> {
    let _only = ATTACK.lock().await;
    // Goose's own logger would write to standard output.
    let _ = tracing_log::LogTracer::init();
    let total: u32 = squads.iter().map(|squad| squad.users).sum();
    if total == 0 {
        return Ok(());
    }
    let over = CancellationToken::new();
    let _stops_left_over_users = over.clone().drop_guard();
    let left = Arc::new(Left { users: AtomicU32::new(total), none: Notify::new() });

    let goose_error = |error: goose::GooseError| LoadError::Goose(error.to_string());
    let mut attack = GooseAttack::initialize_with_config(configuration(host, total))
        .map_err(goose_error)?
        .set_scheduler(GooseScheduler::RoundRobin)
        // One client for all: theirs is not used.
        .set_client_builder_without_cookies(GooseClientBuilder::new().without_cookies())
        .map_err(goose_error)?;
    for squad in squads {
        let users = usize::try_from(squad.users).unwrap_or(usize::MAX);
        let transaction = Transaction::new(transaction(squad.crew.clone(), left.clone(), over.clone()));
        let scenario = Scenario::new(&squad.crew.name)
            .set_weight(users)
            .map_err(goose_error)?
            .register_transaction(transaction);
        attack = attack.register_scenario(scenario);
    }

    let execute = attack.execute();
    tokio::pin!(execute);
    let early = tokio::select! {
        result = &mut execute => Some(result),
        () = left.all() => None,
    };
    over.cancel();
    if let Some(result) = early {
        // Nobody else ends it.
        return match result {
            Ok(_) => Err(LoadError::Goose("it ended before its users".to_owned())),
            Err(error) => Err(goose_error(error)),
        };
    }
    let wind_down = async {
        loop {
            goose::trigger_killswitch("the schedule is over");
            tokio::select! {
                result = &mut execute => return result,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    };
    match tokio::time::timeout(WIND_DOWN, wind_down).await {
        Ok(result) => result.map(drop).map_err(goose_error),
        Err(_) => Err(LoadError::Goose("it did not wind down".to_owned())),
    }
}

/// Users that have not left yet.
struct Left {
    users: AtomicU32,
    none: Notify,
}

impl Left {
    fn one(&self) {
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Keeps the permit, should nobody wait yet.
            self.none.notify_one();
        }
    }

    async fn all(&self) {
        self.none.notified().await;
    }
}

/// The one transaction: a user's whole life. Goose calls it again until it
/// has told its user to exit.
fn transaction(crew: Arc<Crew>, left: Arc<Left>, over: CancellationToken) -> TransactionFunction {
    Arc::new(move |_: &mut GooseUser| -> Pin<Box<dyn Future<Output = TransactionResult> + Send + '_>> {
        let (crew, left, over) = (crew.clone(), left.clone(), over.clone());
        Box::pin(async move {
            if crew.take_seat() {
                crew.user().await;
                left.one();
                over.cancelled().await;
            } else {
                tokio::time::sleep(AGAIN).await;
            }
            Ok(())
        })
    })
}

fn configuration(host: &str, users: u32) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(host.to_owned());
    configuration.users = usize::try_from(users).ok();
    configuration.increase_rate = Some("100000".to_owned());
    configuration.no_telnet = true;
    configuration.no_metrics = true;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.quiet = 2;
    configuration
}
