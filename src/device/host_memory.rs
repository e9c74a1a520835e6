//! How much memory the operating system would still give.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Bytes that are free: of the machine, or of the container that the program runs in, whichever are fewer. `None` where
/// the system does not say.
pub(crate) fn free() -> Option<u64> {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    let machine = Some(system.available_memory()).filter(|&bytes| bytes > 0);
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let container = free_in_groups(&groups, Path::new("/sys/fs/cgroup"));
    [machine, container].into_iter().flatten().min()
}

/// Bytes that plans may take under the limits of this process, if it has some. A quarter of what they leave is not for
/// plans: stacks and freed memory that the C library keeps count as well. They are looked at once, so that a plan that
/// fitted when it was made fits when it runs.
pub(crate) fn planned_at_most() -> Option<u64> {
    static MOST: LazyLock<Option<u64>> = LazyLock::new(|| {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let free = free_in_process(&text("/proc/self/limits"), &text("/proc/self/status"));
        free.map(|bytes| bytes / 4 * 3)
    });
    *MOST
}

/// What the limits of a process leave it, if it has some: those of address space (`ulimit -v`) and of data
/// (`ulimit -d`). The arguments are its `limits` and `status` of proc(5).
fn free_in_process(limits: &str, status: &str) -> Option<u64> {
    let left = |limit: &str, used: &str| -> Option<u64> {
        // Without a limit it says `unlimited`, which is no number.
        let number = |text: &str| text.split_whitespace().next()?.parse::<u64>().ok();
        let most = number(limits.lines().find_map(|line| line.strip_prefix(limit))?)?;
        let kilobytes = number(status.lines().find_map(|line| line.strip_prefix(used))?)?;
        Some(most.saturating_sub(kilobytes * 1024))
    };
    let free = [
        left("Max address space", "VmSize:"),
        left("Max data size", "VmData:"),
    ];
    free.into_iter().flatten().min()
}

/// Files of a control group that say how much memory it has.
struct Files {
    limit: &'static str,
    used: &'static str,
    /// The entry of `memory.stat` that is used for files that nobody reads now, and would be given up.
    idle: &'static str,
}

/// Linux' "Control Group v2", section "Memory Interface Files".
const VERSION_2: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    idle: "inactive_file",
};

/// Linux' "Memory Resource Controller", the first version.
const VERSION_1: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    idle: "total_inactive_file",
};

/// What the control groups of a process leave free, if one of them has a limit. `groups` is its `/proc/self/cgroup`,
/// `root` is where groups are mounted.
fn free_in_groups(groups: &str, root: &Path) -> Option<u64> {
    let free = groups.lines().filter_map(|line| {
        // hierarchy:controllers:path
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (mounts, files) = if controllers.is_empty() {
            // Beside groups of the first version those of the second are one folder down.
            (vec![root.to_owned(), root.join("unified")], VERSION_2)
        } else if controllers
            .split(',')
            .any(|controller| controller == "memory")
        {
            (vec![root.join("memory")], VERSION_1)
        } else {
            return None;
        };
        // A group has no more than the groups that it is in. In a container its own group is the root, whatever its
        // path is called outside.
        let path = Path::new(path.trim_start_matches('/'));
        let folders = mounts
            .iter()
            .flat_map(|mount| path.ancestors().map(|path| mount.join(path)));
        folders.filter_map(|folder| free_in(&folder, &files)).min()
    });
    free.min()
}

fn free_in(folder: &Path, files: &Files) -> Option<u64> {
    let number =
        |path: PathBuf| -> Option<u64> { std::fs::read_to_string(path).ok()?.trim().parse().ok() };
    // Without a limit it says `max`, which is no number, or one that no machine has.
    let limit = number(folder.join(files.limit))?;
    let used = number(folder.join(files.used))?;
    let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let idle = stat
        .lines()
        .find_map(|line| line.strip_prefix(files.idle)?.trim().parse().ok());
    Some(limit.saturating_sub(used.saturating_sub(idle.unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(root: &Path, path: &str, files: &[(&str, &str)]) {
        std::fs::create_dir_all(root.join(path)).unwrap();
        for (name, contents) in files {
            std::fs::write(root.join(path).join(name), contents).unwrap();
        }
    }

    #[test]
    fn the_memory_of_a_container_is_the_memory_there_is() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        // A job of 300 MB in a slice of 1 GB, of which 120 MB are in use, 20 MB of them for files.
        group(
            root,
            "jobs/7",
            &[
                ("memory.max", "300000000\n"),
                ("memory.current", "120000000\n"),
                (
                    "memory.stat",
                    "anon 100000000\ninactive_file 20000000\nactive_file 5\n",
                ),
            ],
        );
        group(
            root,
            "jobs",
            &[
                ("memory.max", "1000000000\n"),
                ("memory.current", "120000000\n"),
            ],
        );
        assert_eq!(free_in_groups("0::/jobs/7\n", root), Some(200_000_000));
        // The slice may have less left than the job.
        group(root, "jobs", &[("memory.current", "950000000\n")]);
        assert_eq!(free_in_groups("0::/jobs/7\n", root), Some(50_000_000));
        group(
            root,
            "free",
            &[("memory.max", "max\n"), ("memory.current", "5\n")],
        );
        assert_eq!(free_in_groups("0::/free\n", root), None);
        assert_eq!(free_in_groups("", root), None);
    }

    #[test]
    fn the_limits_of_a_process_count_too() {
        let limits = |data: &str, address: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max data size             {data}            unlimited            bytes     \n\
                 Max resident set          1000                 1000                 bytes     \n\
                 Max address space         {address}            unlimited            bytes     \n"
            )
        };
        let status =
            "Name:\tpixgrad\nVmPeak:\t   90000 kB\nVmSize:\t   50000 kB\nVmData:\t    1000 kB\n";
        let free = |data, address| free_in_process(&limits(data, address), status);
        assert_eq!(free("unlimited", "unlimited"), None);
        assert_eq!(free("unlimited", "60000000"), Some(8_800_000));
        assert_eq!(free("5024000", "60000000"), Some(4_000_000));
        assert_eq!(free("unlimited", "40000000"), Some(0));
        assert_eq!(free_in_process("", ""), None);
    }

    #[test]
    fn groups_of_the_first_version_count_too() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let files = [
            ("memory.limit_in_bytes", "300000000\n"),
            ("memory.usage_in_bytes", "100000000\n"),
            ("memory.stat", "inactive_file 7\ntotal_inactive_file 1000\n"),
        ];
        // As a container sees itself: its path is that of the host.
        group(root, "memory", &files);
        let groups = "5:cpu,cpuacct:/\n4:memory:/docker/3f2a\n0::/\n";
        assert_eq!(free_in_groups(groups, root), Some(200_001_000));
    }
}
