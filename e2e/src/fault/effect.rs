//! Waits until a fault, or its end, has taken effect.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::FaultError;

/// Looks every `pause` until a look succeeds.
///
/// # Errors
/// What a look fails with; [`FaultError::NoEffect`] only when `limit` is over.
pub(super) async fn wait<F>(
    limit: Duration,
    pause: Duration,
    look: impl Fn() -> F,
) -> Result<(), FaultError>
where
    F: Future<Output = Result<(), FaultError>>,
{
    let deadline = Instant::now() + limit;
    loop {
        match look().await {
            Err(FaultError::NoEffect(_)) if Instant::now() <= deadline => sleep(pause).await,
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(50);

    fn none() -> FaultError {
        FaultError::NoEffect("none so far".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_looked_again_until_there_is_an_effect() {
        let looks = Cell::new(0);
        let look = || async {
            looks.set(looks.get() + 1);
            if looks.get() < 3 { Err(none()) } else { Ok(()) }
        };
        let begun = Instant::now();
        wait(Duration::from_secs(1), PAUSE, look).await.unwrap();
        assert_eq!((looks.get(), begun.elapsed()), (3, PAUSE * 2));
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_effect_the_last_look_tells_what_there_is() {
        let begun = Instant::now();
        let waited = wait(Duration::from_secs(1), PAUSE, || async { Err(none()) }).await;
        assert_eq!(waited.unwrap_err().to_string(), none().to_string());
        assert!(begun.elapsed() > Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_else_fails_is_not_waited_for() {
        let begun = Instant::now();
        let failed = || async { Err(FaultError::NoContainer("a".to_owned())) };
        let waited = wait(Duration::from_secs(1), PAUSE, failed).await;
        assert!(matches!(waited, Err(FaultError::NoContainer(_))));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
