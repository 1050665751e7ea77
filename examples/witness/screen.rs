//! Shows a tally while it grows: redrawn in place on a terminal, elsewhere a line for each thing that happens.

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
    table::{self, Pen},
    tally::{Row, Shared},
};

/// How often the table is redrawn.
const FRAME: Duration = Duration::from_millis(200);

pub struct Screen {
    tally: Shared,
    pen: Pen,
    over: watch::Sender<bool>,
    showing: JoinHandle<()>,
}

impl Screen {
    /// Begins to show, below a title.
    pub fn start(title: &str, tally: &Shared) -> Self {
        let terminal = io::stdout().is_terminal();
        let pen = Pen { colours: terminal && env::var_os("NO_COLOR").is_none() };
        let (over, shown) = (watch::Sender::new(false), Arc::clone(tally));
        say(&format!("\n  {title}\n\n"));
        let showing = match terminal {
            true => tokio::spawn(redraw(shown, pen, over.subscribe())),
            false => tokio::spawn(tell(shown, over.subscribe())),
        };
        Self { tally: Arc::clone(tally), pen, over, showing }
    }

    /// The last word: the whole table, and the verdict.
    pub async fn end(self) {
        self.over.send_replace(true);
        let _ = self.showing.await;
        let tally = self.tally.borrow();
        say(&(table::acts(&tally, self.pen) + &table::sums(&tally, self.pen) + &table::verdict(&tally, self.pen)));
    }
}

/// Who closed our standard output wants to hear nothing more.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

async fn redraw(tally: Shared, pen: Pen, mut over: watch::Receiver<bool>) {
    let (mut frames, mut lines) = (interval(FRAME), 0);
    loop {
        let ended = tokio::select! {
            _ = over.wait_for(|over| *over) => true,
            _ = frames.tick() => false,
        };
        let back = if lines > 0 { format!("\x1b[{lines}A\x1b[J") } else { String::new() };
        if ended {
            return say(&back);
        }
        let text = table::whole(&tally.borrow(), pen);
        lines = text.lines().count();
        say(&(back + &text));
    }
}

/// A line when an act begins, and one when all are back.
async fn tell(tally: Shared, mut over: watch::Receiver<bool>) {
    let (mut changes, begun) = (tally.subscribe(), Instant::now());
    let (mut named, mut settled) = (1, 1);
    loop {
        let (rows, nodes) = {
            let tally = changes.borrow_and_update();
            (tally.rows(), table::nodes(&tally))
        };
        for row in rows.iter().skip(named) {
            say(&format!("{:>7.1} s  {} ({nodes})\n", begun.elapsed().as_secs_f64(), row.name));
        }
        named = rows.len();
        while let Some(line) = rows.get(settled).and_then(settlement) {
            say(&format!("{:>7.1} s  {line}\n", begun.elapsed().as_secs_f64()));
            settled += 1;
        }
        tokio::select! {
            _ = over.wait_for(|over| *over) => return say("\n"),
            _ = changes.changed() => {}
        }
    }
}

fn settlement(row: &Row) -> Option<String> {
    let (recovery, longest) = (row.recovery?.as_secs_f64(), row.longest.as_secs_f64());
    Some(match row.away {
        0 => "  nobody was away".to_owned(),
        away => format!("  all back after {recovery:.1} s; readers away: {away}, the longest {longest:.1} s"),
    })
}
