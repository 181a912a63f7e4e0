//! The files of a configuration: how `master.ini` is opened, and who else may
//! read it.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Source;

const NAME: &str = "master.ini";

/// Reads `dir/master.ini`.
pub(super) fn master_ini(dir: &Path) -> Result<Arc<Source>, Problems> {
    let path = dir.join(NAME);
    let shown = path.display();
    let bytes = std::fs::read(&path).map_err(|error| {
        let problem = match error.kind() {
            ErrorKind::NotFound => Problem::error(format!("there is no file `{shown}`")).help(
                format!("`create-autobot-master {}` makes a master", dir.display()),
            ),
            ErrorKind::PermissionDenied => Problem::error(format!(
                "the file `{shown}` may not be read"
            ))
            .help("the user who runs the master must own it, or be in a group that may read it"),
            _ => Problem::error(format!("the file `{shown}` cannot be read: {error}")),
        };
        Problems(vec![problem])
    })?;
    let (text, wrong) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            (
                String::from_utf8_lossy(error.as_bytes()).into_owned(),
                Some(at),
            )
        }
    };
    let source = Source::new(NAME, dir, text);
    match wrong {
        None => Ok(source),
        Some(at) => {
            let end = at + char::REPLACEMENT_CHARACTER.len_utf8();
            let problem = Problem::error("the file is not written in UTF-8")
                .at(&Place::new(&source, at..end))
                .label("this is no UTF-8")
                .help("an editor can save it with the encoding UTF-8");
            Err(Problems(vec![problem]))
        }
    }
}

/// Warns of a file that everybody can read: slave passwords stand in it.
pub(super) fn check_mode(dir: &Path, warnings: &mut Problems) {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.join(NAME);
    let Ok(metadata) = std::fs::metadata(&path) else {
        return;
    };
    if metadata.permissions().mode() & 0o004 != 0 {
        let what = format!("`{NAME}` holds passwords and everybody can read it");
        let help = format!("`chmod o-r {}` keeps them secret", path.display());
        warnings.note(Problem::warning(what).help(help));
    }
}
