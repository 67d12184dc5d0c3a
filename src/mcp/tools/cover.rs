//! Another cover for a playlist: a JPEG that the caller sends. Never fetched from an address, never anything but a JPEG.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arguments::{PlaylistName, Text, parse, schema_of};
use super::changing::REPLACES;
use super::changing::contents::{head, is_own, somebody_elses, title};
use super::changing::outcome::{Outcome, Status};
use super::changing::planned::Shown;
use super::changing::timing::{Sent, send};
use super::{AccountName, Answer, Arguments, Context, ToolError, ToolSpec, agreeing, output_of};
use crate::spotify::playlist_edits::COVER;
use crate::vault::changes::Planned;

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "set_playlist_cover",
    title: "Set a playlist's cover",
    description: "Gives a playlist that the person made another cover picture: a JPEG in base 64, at most 256 KB of it; \
                  addresses of pictures are not fetched. The old cover is gone and cannot be brought back by undo_change. Where \
                  the client cannot ask the person itself, the first call only plans: show them what it says, then call \
                  again with its plan_id. It may take a while until Spotify shows the cover.",
    hints: REPLACES,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The playlist: its id, URI or link.
    playlist_id: PlaylistName,
    /// The picture: a JPEG in base 64 without line breaks.
    jpeg_base64: Text<4, COVER>,
    /// The plan to apply.
    plan_id: Option<Text<1, 64>>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The playlist's id.
    playlist_id: String,
    /// Its name.
    playlist: String,
    /// Width and height of the picture in pixels.
    width: u16,
    /// Height.
    height: u16,
    #[serde(flatten)]
    plan: Option<Shown>,
    /// How it ended; absent in a plan.
    #[serde(flatten)]
    outcome: Option<Outcome>,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let picture = STANDARD.decode(input.jpeg_base64.as_str()).map_err(|_| {
        ToolError::invalid("jpeg_base64 is not base 64: send the bytes of a JPEG in standard base 64.")
    })?;
    let (width, height) = size_of(&picture).ok_or_else(|| {
        ToolError::invalid("jpeg_base64 is not a whole JPEG picture. Convert the picture to JPEG first.")
    })?;
    let session = context.session(input.account.as_ref()).await?;
    let (api, id, base64) = (session.api, &input.playlist_id.0, input.jpeg_base64.as_str());
    let (playlist, _) = head(&session, id).await?;
    if is_own(context, &session, &playlist).await? == Some(false) {
        return Err(somebody_elses());
    }
    let mut output = Output {
        playlist_id: id.as_str().to_owned(),
        playlist: title(&playlist),
        width,
        height,
        plan: None,
        outcome: None,
    };
    let question = async {
        let account = agreeing::account(context, &session).await?;
        Ok::<_, ToolError>(format!(
            "Replace the cover of the playlist {} of the Spotify account {account} by a picture of {width} x {height} \
             pixels? The old cover cannot be brought back.",
            agreeing::quoted(&output.playlist)
        ))
    };
    let asked = format!("{} {base64}", id.as_str());
    let planned = Planned { tool: TOOL.name, asked: &asked, state: "" };
    let plan_id = input.plan_id.as_ref().map(Text::as_str);
    if let Some((plan, text)) = agreeing::leave(context, &session, planned, (plan_id, question)).await? {
        output.plan = Some(plan);
        return Answer::of(text, &output);
    }
    let sent = send(&session, |token| async move { api.set_cover(&token, id, base64).await }).await;
    let mut outcome = Outcome { status: Status::Accepted, ..Outcome::verified() };
    match sent {
        Sent::Confirmed(()) => {}
        Sent::Lost(failure) => {
            outcome.status = Status::Ambiguous;
            outcome.failure = Some(failure);
        }
        Sent::Refused(failure) => return Err(failure),
    }
    let text = format!("New cover for \"{}\".{}\n{}", output.playlist, outcome.told(), id.link());
    let code = outcome.code();
    output.outcome = Some(outcome);
    let mut answer = Answer::of(text, &output)?;
    answer.code = code;
    Ok(answer)
}

/// Width and height of a JPEG (ITU-T T.81, annex B): it begins and ends as one, and its segments lead to a frame.
fn size_of(picture: &[u8]) -> Option<(u16, u16)> {
    if !picture.ends_with(&[0xff, 0xd9]) {
        return None;
    }
    let mut rest = picture.strip_prefix(&[0xff, 0xd8])?;
    loop {
        let [0xff, marker, after @ ..] = rest else { return None };
        if *marker == 0xff {
            // Fill bytes may stand before a marker.
            rest = &rest[1..];
            continue;
        }
        let [high, low, ..] = after else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let segment = after.get(2..length)?;
        match marker {
            // Start of frame, all kinds; DHT, JPG and DAC share the range.
            0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(marker) => {
                let [_, h1, h0, w1, w0, ..] = segment else { return None };
                let (width, height) = (u16::from_be_bytes([*w1, *w0]), u16::from_be_bytes([*h1, *h0]));
                return (width > 0 && height > 0).then_some((width, height));
            }
            // A scan before its frame, or the end: no picture.
            0xd0..=0xda | 0x00 | 0x01 => return None,
            _ => rest = after.get(length..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG's outline: a comment, a frame of 3 by 2, a scan.
    fn picture() -> Vec<u8> {
        let mut bytes =
            vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xff, 0xc0, 0, 11, 8, 0, 2, 0, 3, 1, 1, 0x11, 0];
        bytes.extend([0xff, 0xda, 0, 2, 7, 7, 0xff, 0xd9]);
        bytes
    }

    #[test]
    fn only_a_whole_jpeg_is_one() {
        assert_eq!(size_of(&picture()), Some((3, 2)));
        let mut cut = picture();
        cut.pop();
        let mut endless = picture();
        endless[4] = 0xff;
        let mut flat = picture();
        flat[15] = 0;
        for wrong in
            [&b""[..], b"\x89PNG\r\n\x1a\n", b"<svg/>", &[0xff, 0xd8, 0xff, 0xd9], &cut, &endless, &flat]
        {
            assert_eq!(size_of(wrong), None, "{wrong:?}");
        }
        for end in 0..picture().len() {
            let _ = size_of(&picture()[..end]);
        }
    }
}
