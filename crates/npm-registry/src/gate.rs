//! How many requests run at once: a limit that falls when a server is overloaded and recovers slowly.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The limit never falls below this.
const FLOOR: usize = 4;

/// Additive increase, multiplicative decrease, as congestion control does.
pub(super) struct Gate {
    permits: Arc<Semaphore>,
    ceiling: usize,
    state: Mutex<State>,
}

struct State {
    limit: usize,
    /// Permits that are still out and vanish when they come back.
    debt: usize,
    /// Successes since the limit last moved.
    streak: usize,
    /// Successes since a server last asked for a pause.
    since_pause: usize,
}

/// Leave to have one request in flight.
pub(super) struct Pass {
    gate: Arc<Gate>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Gate {
    pub(super) fn new(ceiling: usize) -> Arc<Self> {
        let ceiling = ceiling.max(1);
        let state = State { limit: ceiling, debt: 0, streak: 0, since_pause: 0 };
        Arc::new(Self { permits: Arc::new(Semaphore::new(ceiling)), ceiling, state: Mutex::new(state) })
    }

    /// Waits for leave; first come, first served, so that the callers' order is kept.
    pub(super) async fn enter(self: &Arc<Self>) -> Pass {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        Pass { gate: Arc::clone(self), permit: permit.ok() }
    }

    /// The server is overloaded: half as many from now on.
    pub(super) fn overloaded(&self) {
        let mut state = self.lock();
        // Everything in flight fails together; that is one sign of overload, not many.
        if state.debt > 0 || state.limit <= FLOOR {
            state.streak = 0;
            return;
        }
        let lower = (state.limit / 2).max(FLOOR);
        let surplus = state.limit - lower;
        // Those that are out cannot be called back: what is left of the surplus is taken from them as they return.
        let idle = self.permits.forget_permits(surplus);
        *state = State { limit: lower, debt: surplus - idle, streak: 0, ..*state };
    }

    /// The server asked for a pause. That is a sign of overload only if most of what was asked since the last one was
    /// refused; a server that turns some away and serves the others is as fast as it says.
    pub(super) fn paused(&self) {
        let served = {
            let mut state = self.lock();
            std::mem::take(&mut state.since_pause) * 2 >= state.limit
        };
        if !served {
            self.overloaded();
        }
    }

    /// A request went well: after as many as the limit is, one more is allowed.
    pub(super) fn succeeded(&self) {
        let mut state = self.lock();
        state.since_pause += 1;
        if state.limit == self.ceiling {
            return;
        }
        state.streak += 1;
        if state.streak >= state.limit && state.debt == 0 {
            state.limit += 1;
            state.streak = 0;
            self.permits.add_permits(1);
        }
    }

    /// How many may run at once now.
    #[cfg(test)]
    fn limit(&self) -> usize {
        self.lock().limit
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        if state.debt > 0
            && let Some(permit) = self.permit.take()
        {
            state.debt -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_limit_halves_once_per_wave_and_recovers_slowly() {
        let gate = Gate::new(64);
        let mut passes = Vec::new();
        for _ in 0..64 {
            passes.push(gate.enter().await);
        }
        (0..64).for_each(|_| gate.overloaded());
        assert_eq!(gate.limit(), 32);
        passes.truncate(32);
        assert_eq!(gate.permits.available_permits(), 0);
        passes.clear();
        assert_eq!(gate.permits.available_permits(), 32);
        (0..32).for_each(|_| gate.succeeded());
        assert_eq!((gate.limit(), gate.permits.available_permits()), (33, 33));
        (0..9).for_each(|_| gate.overloaded());
        assert_eq!((gate.limit(), gate.permits.available_permits()), (4, 4));
    }

    #[test]
    fn a_pause_is_overload_only_where_little_was_served() {
        let gate = Gate::new(64);
        (0..32).for_each(|_| gate.succeeded());
        gate.paused();
        assert_eq!(gate.limit(), 64);
        (0..31).for_each(|_| gate.succeeded());
        gate.paused();
        assert_eq!(gate.limit(), 32);
    }
}
