//! Tables for people: as wide as the terminal that they are written to, 80 columns where there is none. What does not fit
//! stands below its row. Never: a value cut off, but for names, which give way first and are whole in JSON.

use std::io::IsTerminal as _;

/// Columns where no terminal says otherwise.
const USUAL: usize = 80;
/// No terminal is taken for narrower or wider than this.
const BOUNDS: (usize, usize) = (40, 400);
/// What stands below its row begins here.
const INDENT: usize = 4;
/// A name is not cut to less than this.
pub(super) const SHORTEST_NAME: usize = 12;

/// A table with one line for each row, or more where the terminal is narrow.
pub(super) fn columns<const N: usize>(head: &[&str; N], rows: &[[String; N]]) -> String {
    laid_out(room(), (head, None), rows)
}

/// The same, of which one column is names: they are cut before anything else moves below its row.
pub(super) fn columns_with_names<const N: usize>(
    head: &[&str; N],
    names: usize,
    rows: &[[String; N]],
) -> String {
    laid_out(room(), (head, Some(names)), rows)
}

/// How many columns standard output has.
pub(super) fn room() -> usize {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return USUAL;
    }
    let size = rustix::termios::tcgetwinsize(&stdout).ok().filter(|size| size.ws_col > 0);
    size.map_or(USUAL, |size| usize::from(size.ws_col)).clamp(BOUNDS.0, BOUNDS.1)
}

fn laid_out<const N: usize>(
    room: usize,
    (head, names): (&[&str; N], Option<usize>),
    rows: &[[String; N]],
) -> String {
    let of = |column: usize| rows.iter().map(|row| width(&row[column])).max().unwrap_or_default();
    let mut widths: [usize; N] = std::array::from_fn(|column| of(column).max(width(head[column])));
    if let Some(names) = names {
        let over = (widths.iter().sum::<usize>() + 2 * (N - 1)).saturating_sub(room);
        let least = widths[names].min(SHORTEST_NAME);
        let before: usize = widths[..names].iter().map(|width| width + 2).sum();
        widths[names] = match widths[names].checked_sub(over).filter(|left| *left >= least) {
            Some(left) => left,
            // Something stands below anyway: then names need not give way to it.
            None => widths[names].min(room.saturating_sub(before)).max(least),
        };
    }
    let first = fitting(room, &widths);
    let line = |cells: &[&str]| {
        let cells = cells.iter().zip(widths).map(|(cell, width)| padded(&cut(cell, width), width));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut text = line(&head[..first]);
    for row in rows {
        let cells: Vec<&str> = row.iter().map(String::as_str).collect();
        text += &line(&cells[..first]);
        let named = |(name, cell): (&&str, &&str)| match name.is_empty() {
            true => (*cell).to_owned(),
            false => format!("{} {cell}", name.to_lowercase()),
        };
        let rest = head[first..].iter().zip(&cells[first..]).filter(|(_, cell)| !cell.is_empty());
        text += &below(room, INDENT, &rest.map(named).collect::<Vec<_>>());
    }
    text
}

/// How many columns stand in the first line: at least one.
fn fitting(room: usize, widths: &[usize]) -> usize {
    let mut taken = 0;
    let fits = widths.iter().take_while(|width| {
        taken += **width + if taken > 0 { 2 } else { 0 };
        taken <= room
    });
    fits.count().max(1)
}

/// Parts one after the other below a row, as many in a line as fit; a long one is parted between its words.
pub(super) fn below(room: usize, indent: usize, parts: &[String]) -> String {
    let (mut text, mut line) = (String::new(), String::new());
    let space = room.saturating_sub(indent).max(1);
    let mut end = |line: &mut String| {
        if !line.is_empty() {
            text += &format!("{:indent$}{line}\n", "");
            line.clear();
        }
    };
    for part in parts {
        if !line.is_empty() && width(&line) + 2 + width(part) > space {
            end(&mut line);
        }
        for (at, word) in part.split(' ').filter(|word| !word.is_empty()).enumerate() {
            let gap = if at == 0 { "  " } else { " " };
            if !line.is_empty() && width(&line) + gap.len() + width(word) > space {
                end(&mut line);
                // What belongs to the part before it stands further in.
                line += "  ";
            } else if !line.is_empty() {
                line += gap;
            }
            line += word;
        }
    }
    end(&mut line);
    text
}

/// A text of so many columns at most; of a wider one, its beginning.
pub(super) fn cut(text: &str, most: usize) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let mut taken = 0;
    let head: String = text
        .chars()
        .take_while(|c| {
            taken += columns_of(*c);
            taken < most
        })
        .collect();
    head + "…"
}

fn padded(text: &str, to: usize) -> String {
    format!("{text}{:1$}", "", to.saturating_sub(width(text)))
}

/// How many columns a terminal gives a text.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Two for the wide characters of East Asia and for emoji, none for what stands on another (Unicode UAX #11, in short).
const fn columns_of(c: char) -> usize {
    match c {
        '\u{300}'..='\u{36f}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f900}'..='\u{1f9ff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[[&str; 3]]) -> Vec<[String; 3]> {
        cells.iter().map(|row| row.map(str::to_owned)).collect()
    }

    #[test]
    fn what_fits_stands_in_one_line() {
        let shown = laid_out(
            80,
            (&["ID", "NAME", "USED"], None),
            &rows(&[["a", "Ada", "never"], ["bc", "音楽", ""]]),
        );
        assert_eq!(shown, "ID  NAME  USED\na   Ada   never\nbc  音楽\n");
    }

    #[test]
    fn wide_characters_count_as_two_columns() {
        let shown =
            laid_out(80, (&["NAME", "N", ""], None), &rows(&[["音楽プレーヤー", "1", ""], ["Ada", "2", ""]]));
        assert_eq!(shown, "NAME            N\n音楽プレーヤー  1\nAda             2\n");
        assert_eq!((width("e\u{301}"), cut("音楽プレーヤー", 6)), (1, "音楽…".to_owned()));
    }

    #[test]
    fn what_does_not_fit_stands_below_its_row_and_is_whole() {
        let id = "c_0123456789abcdef0123456789abcdef";
        let events = "one_event another_event a_third_event";
        let shown = laid_out(
            40,
            (&["ID", "TOLD AT", "EVENTS"], None),
            &rows(&[[id, "3 in 1h", events], [id, "", ""]]),
        );
        assert_eq!(
            shown,
            format!(
                "ID\n{id}\n    told at 3 in 1h\n    events one_event another_event\n      a_third_event\n{id}\n"
            )
        );
        assert!(shown.lines().all(|line| width(line) <= 40), "{shown}");
    }

    #[test]
    fn names_are_cut_before_anything_moves_below() {
        let name = "x".repeat(60);
        let row = [["0123456789", &name, "2026-11-21"]];
        let shown = laid_out(60, (&["ID", "NAME", "USED"], Some(1)), &rows(&row));
        let line = shown.lines().nth(1).unwrap();
        assert!(line.contains('…') && line.ends_with("2026-11-21") && width(line) == 60, "{line}");
        assert!(laid_out(200, (&["ID", "NAME", "USED"], Some(1)), &rows(&row)).contains(&name));
        // Not to nothing, and not for what stands below anyway.
        let shown = laid_out(30, (&["ID", "NAME", "USED"], Some(1)), &rows(&row));
        assert!(shown.contains("xxxxxxxxxxxxxxxxx…\n    used 2026-11-21"), "{shown}");
    }
}
