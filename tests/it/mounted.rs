//! A file of a ConfigMap as a kubelet mounts it: a link to a link, and a change of everything is one rename.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// A folder with the operator's configuration in it.
#[derive(Debug)]
pub struct Mounted {
    pub folder: PathBuf,
    version: usize,
    text: String,
}

impl Mounted {
    /// Makes the folder, which is not there yet.
    pub fn new(folder: PathBuf, text: &str) -> Self {
        fs::create_dir(&folder).expect("it is not there yet");
        let mut mounted = Self { folder, version: 0, text: String::new() };
        mounted.write(text);
        symlink("..data/config.yaml", mounted.file()).expect("it is not there yet");
        mounted
    }

    /// Where the file is.
    pub fn file(&self) -> PathBuf {
        self.folder.join("config.yaml")
    }

    /// The ConfigMap has changed.
    pub fn write(&mut self, text: &str) {
        if self.version > 0 && self.text == text {
            return;
        }
        let before = self.folder.join(format!("..{}", self.version));
        self.version += 1;
        let version = format!("..{}", self.version);
        fs::create_dir(self.folder.join(&version)).expect("every version has a folder of its own");
        fs::write(self.folder.join(&version).join("config.yaml"), text).expect("it was just made");
        let link = self.folder.join("..data_tmp");
        symlink(&version, &link).expect("the one before was renamed");
        fs::rename(link, self.folder.join("..data")).expect("a rename replaces what is there");
        let _ = fs::remove_dir_all(before);
        text.clone_into(&mut self.text);
    }
}
