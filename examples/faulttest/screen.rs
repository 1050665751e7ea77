//! Shows the ledger during a run: redrawn in place on a terminal; elsewhere as a line for each act and recovery.

use std::{
    env,
    io::{self, IsTerminal, Write},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, interval},
};

use crate::{
    ledger::{Row, SharedLedger},
    table::{self, Pen},
};

/// How often the table is redrawn.
const REDRAW_INTERVAL: Duration = Duration::from_millis(200);

pub struct Screen {
    ledger: SharedLedger,
    pen: Pen,
    over: watch::Sender<bool>,
    showing: JoinHandle<()>,
}

impl Screen {
    /// Prints a title, and starts to show the ledger below it.
    pub fn start(title: &str, ledger: &SharedLedger) -> Self {
        let terminal = io::stdout().is_terminal();
        let pen = Pen { colours: terminal && env::var_os("NO_COLOR").is_none() };
        let (over, shown) = (watch::Sender::new(false), Arc::clone(ledger));
        print(&format!("\n  {title}\n\n"));
        let showing = if terminal {
            tokio::spawn(redraw(shown, pen, over.subscribe()))
        } else {
            tokio::spawn(print_lines(shown, over.subscribe()))
        };
        Self { ledger: Arc::clone(ledger), pen, over, showing }
    }

    /// Prints the final table and the verdict.
    pub async fn end(self) {
        self.over.send_replace(true);
        let _ = self.showing.await;
        let ledger = self.ledger.borrow();
        print(
            &(table::acts(&ledger, self.pen) + &table::totals(&ledger, self.pen) + &table::verdict(&ledger, self.pen)),
        );
    }
}

/// Prints to standard output; ignores errors, since a closed pipe must not end the run.
fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Redraws the table in place until the run is over, and then removes it.
async fn redraw(ledger: SharedLedger, pen: Pen, mut over: watch::Receiver<bool>) {
    let (mut frames, mut lines) = (interval(REDRAW_INTERVAL), 0);
    loop {
        let ended = tokio::select! {
            _ = over.wait_for(|over| *over) => true,
            _ = frames.tick() => false,
        };
        let erase = if lines > 0 { format!("\x1b[{lines}A\x1b[J") } else { String::new() };
        if ended {
            return print(&erase);
        }
        let text = table::view(&ledger.borrow(), pen);
        lines = text.lines().count();
        print(&(erase + &text));
    }
}

/// Prints a line when an act begins, and one when all readers have recovered.
async fn print_lines(ledger: SharedLedger, mut over: watch::Receiver<bool>) {
    let (mut changes, begun) = (ledger.subscribe(), Instant::now());
    // The first row is the calm before the first act.
    let (mut named, mut recovered) = (1, 1);
    loop {
        let (rows, nodes) = {
            let ledger = changes.borrow_and_update();
            (ledger.rows(), table::readers_per_node(&ledger))
        };
        for row in rows.iter().skip(named) {
            print(&format!("{:>7.1} s  {} ({nodes})\n", begun.elapsed().as_secs_f64(), row.name));
        }
        named = rows.len();
        while let Some(line) = rows.get(recovered).and_then(recovery_line) {
            print(&format!("{:>7.1} s  {line}\n", begun.elapsed().as_secs_f64()));
            recovered += 1;
        }
        tokio::select! {
            _ = over.wait_for(|over| *over) => return print("\n"),
            _ = changes.changed() => {}
        }
    }
}

/// Returns the line of an act from which all readers have recovered.
fn recovery_line(row: &Row) -> Option<String> {
    let (recovery, longest) = (row.recovery?.as_secs_f64(), row.longest.as_secs_f64());
    Some(match row.away {
        0 => "  no reader was away".to_owned(),
        away => format!("  all back after {recovery:.1} s; readers away: {away}, the longest {longest:.1} s"),
    })
}
