//! The memory that archives may take once they are unpacked: the sources of derivations and the git dependencies of
//! lockfiles draw on the same budget, however many there are.

use tokio::sync::{Mutex, Semaphore};

/// Archives in work at once, each in a small room.
const AT_ONCE: usize = 6;

/// What an archive may take of memory beside others: far more than usual ones need.
const BESIDE_OTHERS: Room = Room { download: 32 << 20, unpacked: 96 << 20 };

/// What it may take when it comes to it alone: far above any real source, far below what would exhaust a machine. The
/// client's own limit bounds the download.
const ALONE: Room = Room { download: usize::MAX, unpacked: 1 << 30 };

/// How many bytes an archive may take.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// As it is downloaded.
    pub download: usize,
    /// Unpacked.
    pub unpacked: u64,
}

/// A failure that more room may help against.
pub trait TooLarge {
    /// Whether more was needed than there was.
    fn is_too_large(&self) -> bool;
}

/// The budget of a run. Eight archives of 875 kB that unpack to 700 MB each took 5.6 GB when each was bounded by itself.
#[derive(Debug)]
pub struct Unpacking {
    beside: Semaphore,
    alone: Mutex<()>,
}

impl Default for Unpacking {
    fn default() -> Self {
        Self { beside: Semaphore::new(AT_ONCE), alone: Mutex::default() }
    }
}

impl Unpacking {
    /// Does the work in a small room beside others, and where that is too small in the large one, when its turn comes.
    ///
    /// # Errors
    /// What the work fails with; where that is [`TooLarge`], in the large room.
    pub async fn within<T, E: TooLarge>(&self, work: impl AsyncFn(Room) -> Result<T, E>) -> Result<T, E> {
        // Its place is free again before the large room is waited for; otherwise a few that are too large would keep
        // out all others.
        let first = {
            // Never closed, so there is always leave in the end.
            let _leave = self.beside.acquire().await;
            work(BESIDE_OTHERS).await
        };
        if !first.as_ref().is_err_and(TooLarge::is_too_large) {
            return first;
        }
        let _turn = self.alone.lock().await;
        work(ALONE).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Failed {
        too_large: bool,
    }

    impl TooLarge for Failed {
        fn is_too_large(&self) -> bool {
            self.too_large
        }
    }

    /// In which rooms work was done that needs so much, and what came of it.
    async fn done(needed: u64, other: bool) -> (Vec<u64>, Result<u64, Failed>) {
        let rooms = StdMutex::new(Vec::new());
        let result = Unpacking::default()
            .within(async |room: Room| {
                rooms.lock().unwrap().push(room.unpacked);
                let too_large = room.unpacked < needed;
                if too_large || other { Err(Failed { too_large }) } else { Ok(needed) }
            })
            .await;
        (rooms.into_inner().unwrap(), result)
    }

    #[tokio::test]
    async fn work_is_done_once_and_once_more_alone_where_it_needs_a_larger_room() {
        let (small, large) = (96 << 20, 1 << 30);
        assert_eq!(done(small, false).await, (vec![small], Ok(small)));
        assert_eq!(done(small + 1, false).await, (vec![small, large], Ok(small + 1)));
        assert_eq!(done(large + 1, false).await, (vec![small, large], Err(Failed { too_large: true })));
        assert_eq!(done(1, true).await, (vec![small], Err(Failed { too_large: false })));
    }
}
