//! Which failures of a disk may pass. Who meets one of them waits and tries
//! again: when there is space, all goes on by itself.

use std::io;

/// What the system says when a device does not answer.
const EIO: i32 = 5;

/// Whether there is no room, so that it goes on when somebody makes some.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Whether writing may work again without anything being asked for in another way: there is no
/// room, the file system became read-only, or its device does not answer.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    is_full(error)
        || error.kind() == io::ErrorKind::ReadOnlyFilesystem
        || error.raw_os_error() == Some(EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_room_or_a_repair_mends_may_pass_and_a_mistake_does_not() {
        let error = io::Error::from_raw_os_error;
        // ENOSPC and EDQUOT; EROFS and EIO; EACCES, ENOENT and EFBIG.
        for (errno, full, passing) in [
            (28, true, true),
            (122, true, true),
            (30, false, true),
            (5, false, true),
            (13, false, false),
            (2, false, false),
            (27, false, false),
        ] {
            assert_eq!(
                (is_full(&error(errno)), may_pass(&error(errno))),
                (full, passing),
                "{errno}"
            );
        }
    }
}
