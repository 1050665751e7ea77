//! Writes the log from a thread of its own, so that a full disk or a pipe that is not read neither blocks nor ends
//! anything. What cannot be written is dropped and counted.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;

/// The most bytes of lines that wait to be written.
const MAX_QUEUED_BYTES: usize = 512 << 10;

/// Estimated bytes that a line takes in addition to its text, so that the number of lines is bounded as well.
const LINE_OVERHEAD_BYTES: usize = 32;

/// How long the end of the process waits for lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// The pause before a line is written again to a file that does not block and is full.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// Lines that wait to be written to one file. Writing to it never blocks or fails.
#[derive(Clone)]
pub struct LogQueue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    added: Condvar,
    emptied: Condvar,
    dropped: IntCounter,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
}

/// Waits for the queue to be written when it is dropped, so that the last lines are not lost.
pub struct FlushOnDrop(LogQueue);

impl LogQueue {
    /// Starts the thread that writes lines to a duplicate of `output`. `dropped` counts those that cannot be written.
    ///
    /// # Errors
    /// If the output cannot be duplicated or the thread cannot be started.
    pub fn start(output: impl AsFd, dropped: IntCounter) -> io::Result<Self> {
        // Not through std's Stdout, which keeps what it could not write, and writes it later.
        let file = File::from(output.as_fd().try_clone_to_owned()?);
        let shared = Shared { state: Mutex::default(), added: Condvar::new(), emptied: Condvar::new(), dropped };
        let queue = Self(Arc::new(shared));
        let shared = queue.0.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || shared.write_lines(file))?;
        Ok(queue)
    }

    /// Waits until everything was written, for half a second at most.
    pub fn flush(&self) {
        let deadline = Instant::now() + FLUSH_TIMEOUT;
        let mut state = self.0.state.lock();
        self.0
            .emptied
            .wait_while_until(&mut state, |state| state.is_writing || !state.lines.is_empty(), deadline);
    }

    /// Returns a guard that flushes when it is dropped.
    pub fn flush_on_drop(&self) -> FlushOnDrop {
        FlushOnDrop(self.clone())
    }
}

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        self.0.flush();
    }
}

impl Write for LogQueue {
    /// Queues a line, or drops it if too many wait.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        let bytes = state.bytes + line.len() + LINE_OVERHEAD_BYTES;
        if bytes > MAX_QUEUED_BYTES {
            self.0.dropped.inc();
        } else {
            state.bytes = bytes;
            state.lines.push_back(line.to_owned());
            self.0.added.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn write_lines(&self, mut file: impl Write) {
        let mut ends_in_mid_line = false;
        loop {
            let line = self.next_line();
            // A line that was written in part stays alone.
            let written = if ends_in_mid_line { write_all(&mut file, b"\n") } else { Ok(()) };
            let written = written.and_then(|()| write_all(&mut file, &line));
            if let Err(in_part) = &written {
                self.dropped.inc();
                ends_in_mid_line |= in_part;
            } else {
                ends_in_mid_line = false;
            }
        }
    }

    /// Waits for a line and takes it.
    fn next_line(&self) -> Vec<u8> {
        let mut state = self.state.lock();
        state.is_writing = false;
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len() + LINE_OVERHEAD_BYTES;
                state.is_writing = true;
                return line;
            }
            self.emptied.notify_all();
            self.added.wait(&mut state);
        }
    }
}

/// Writes all bytes, waiting for as long as it takes.
///
/// # Errors
/// Returns whether a part was written before writing failed.
fn write_all(file: &mut impl Write, mut bytes: &[u8]) -> Result<(), bool> {
    let all = bytes.len();
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(bytes.len() < all),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
            Err(_) => return Err(bytes.len() < all),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};

    use super::*;

    fn counter() -> IntCounter {
        IntCounter::new("dropped", "lines").unwrap()
    }

    #[test]
    fn lines_reach_the_output_in_order_before_the_end() {
        let (reader, writer) = io::pipe().unwrap();
        let queue = LogQueue::start(&writer, counter()).unwrap();
        let flushed = queue.flush_on_drop();
        for n in 0..100 {
            writeln!(&mut queue.clone(), "line {n}").unwrap();
        }
        drop(flushed);
        let mut lines = BufReader::new(reader).lines();
        for n in 0..100 {
            assert_eq!(lines.next().unwrap().unwrap(), format!("line {n}"));
        }
    }

    #[test]
    fn lines_that_do_not_fit_are_counted_and_nothing_blocks() {
        let (mut reader, writer) = io::pipe().unwrap();
        let dropped = counter();
        let queue = LogQueue::start(&writer, dropped.clone()).unwrap();
        let line = [[b'x'; 999].as_slice(), b"\n"].concat();
        for _ in 0..2000 {
            queue.clone().write_all(&line).unwrap();
        }
        let lost = dropped.get();
        assert!(lost > 2000 - 600 && lost < 2000, "{lost} of 2000 were dropped");
        let started = Instant::now();
        queue.flush();
        assert!(started.elapsed() < 10 * FLUSH_TIMEOUT);
        let mut rest = vec![0; (2000 - lost as usize) * line.len()];
        reader.read_exact(&mut rest).unwrap();
        assert_eq!(dropped.get(), lost);
    }

    #[test]
    fn a_line_that_was_cut_stays_alone() {
        /// Takes 4 bytes, fails twice, and then takes everything.
        struct FullDisk(Vec<u8>, u32);
        impl Write for FullDisk {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 += 1;
                let taken = if self.1 == 1 { 4 } else { bytes.len() };
                if [2, 3].contains(&self.1) {
                    return Err(ErrorKind::StorageFull.into());
                }
                self.0.extend(&bytes[..taken]);
                Ok(taken)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut disk = FullDisk(Vec::new(), 0);
        assert_eq!(write_all(&mut disk, b"first\n"), Err(true));
        assert_eq!(write_all(&mut disk, b"\n"), Err(false));
        assert_eq!(write_all(&mut disk, b"\n").and_then(|()| write_all(&mut disk, b"second\n")), Ok(()));
        assert_eq!(disk.0, b"firs\nsecond\n");
    }
}
