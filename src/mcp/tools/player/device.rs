//! Devices: as they are told, and found by the name that a person calls them.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::super::upstream::Session;
use super::super::ToolError;
use super::super::arguments::Text;
use super::super::items::shown;
use crate::spotify::models::Device;

/// Longest name of a device shown.
const NAME: usize = 100;
/// Longest id of a device shown; Spotify's have 40 characters.
const ID: usize = 128;
/// Most devices told of.
const MOST: usize = 50;

/// A device by its name or id.
pub(super) type DeviceName = Text<1, 128>;

/// Something to play on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct DeviceItem {
    /// Its id; absent where it takes no commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    /// Its name.
    pub(super) name: String,
    /// Computer, Smartphone, Speaker, ...
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The one that plays, or would.
    pub(super) active: bool,
    /// Takes no commands from here.
    pub(super) restricted: bool,
    /// In a private session.
    private_session: bool,
    /// Volume in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_percent: Option<u64>,
    /// Whether its volume can be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    supports_volume: Option<bool>,
}

impl DeviceItem {
    pub(super) fn of(device: &Device) -> Self {
        let kind = device.kind.clone().filter(|kind| kind.len() <= 40 && is_word(kind));
        Self {
            id: device.id.clone().filter(|id| id.len() <= ID),
            name: shown(device.name.as_ref(), NAME).unwrap_or_else(|| "(without a name)".to_owned()),
            kind,
            active: device.is_active.unwrap_or(false),
            restricted: device.is_restricted.unwrap_or(false),
            private_session: device.is_private_session.unwrap_or(false),
            volume_percent: device.volume_percent.filter(|percent| *percent <= 100),
            supports_volume: device.supports_volume,
        }
    }

    /// Whether its volume cannot be set from elsewhere.
    pub(super) fn keeps_its_volume(&self) -> bool {
        self.supports_volume == Some(false)
    }

    /// `Kitchen (Speaker, active, volume 40 %) [id]`
    pub(super) fn line(&self) -> String {
        let mut notes: Vec<_> = self.kind.iter().cloned().collect();
        notes.extend(self.active.then(|| "active".to_owned()));
        notes.extend((!self.takes_commands()).then(|| "takes no commands".to_owned()));
        notes.extend(self.private_session.then(|| "private session".to_owned()));
        notes.extend(self.volume_percent.map(|percent| format!("volume {percent} %")));
        let notes = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join(", ")) };
        let id = self.id.as_ref().map(|id| format!(" [{id}]")).unwrap_or_default();
        format!("{}{notes}{id}", self.name)
    }

    const fn takes_commands(&self) -> bool {
        self.id.is_some() && !self.restricted
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_- ".contains(&byte))
}

/// The devices of the account.
pub(super) async fn devices(session: &Session<'_>) -> Result<Vec<DeviceItem>, ToolError> {
    let api = session.api;
    let found = session.call(|token| async move { api.devices(&token).await }).await?;
    Ok(found.iter().take(MOST).map(DeviceItem::of).collect())
}

/// The id of the device that is called so.
pub(super) async fn find(session: &Session<'_>, name: &DeviceName) -> Result<String, ToolError> {
    chosen(&devices(session).await?, name.as_str())
}

/// By id; else by the whole name, upper and lower case alike; else by a part of it that only one has.
fn chosen(devices: &[DeviceItem], wanted: &str) -> Result<String, ToolError> {
    if devices.is_empty() {
        return Err(ToolError::new("NO_ACTIVE_DEVICE", nothing_open()));
    }
    let lower = wanted.to_lowercase();
    let by_id: Vec<_> = devices.iter().filter(|device| device.id.as_deref() == Some(wanted)).collect();
    let named: Vec<_> = devices.iter().filter(|device| device.name.to_lowercase() == lower).collect();
    let partly = || devices.iter().filter(|device| device.name.to_lowercase().contains(&lower)).collect();
    let found: Vec<&DeviceItem> = match (by_id.is_empty(), named.is_empty()) {
        (false, _) => by_id,
        (true, false) => named,
        (true, true) => partly(),
    };
    match found.as_slice() {
        [] => Err(ToolError::new("NOT_FOUND", format!("No device is called that. {}", listed(devices)))),
        [only] if only.takes_commands() => Ok(only.id.clone().unwrap_or_default()),
        [only] => Err(ToolError::new(
            "RESTRICTED",
            format!("Spotify lets nobody control \"{}\" from elsewhere. Choose another device.", only.name),
        )),
        several => Err(ToolError::invalid(format!(
            "Several devices are called that. Give the id of one. {}",
            listed(several.iter().copied())
        ))),
    }
}

/// Every device, in one line.
pub(super) fn listed<'a>(devices: impl IntoIterator<Item = &'a DeviceItem>) -> String {
    let lines: Vec<_> = devices.into_iter().map(DeviceItem::line).collect();
    match lines.is_empty() {
        true => nothing_open().to_owned(),
        false => format!("Devices: {}.", lines.join("; ")),
    }
}

const fn nothing_open() -> &'static str {
    "Spotify is open on no device. Ask the person to open it somewhere, then try again."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices() -> Vec<DeviceItem> {
        let json = r#"[{"id":"k1","name":"Kitchen","type":"Speaker","is_active":true,"volume_percent":40},
            {"id":"k2","name":"Kitchen radio","is_restricted":true},{"id":null,"name":"Car"},
            {"id":"p","name":"Phone\u202e","type":"<b>"},{"id":"q","name":"phone"}]"#;
        let devices: Vec<Device> = serde_json::from_str(json).unwrap();
        devices.iter().map(DeviceItem::of).collect()
    }

    #[test]
    fn a_device_is_found_by_id_name_or_part_of_it() {
        let choose = |name: &str| chosen(&devices(), name).map_err(|error| error.code);
        assert_eq!(choose("k1"), Ok("k1".to_owned()));
        assert_eq!(choose("KITCHEN"), Ok("k1".to_owned()));
        assert_eq!(choose("kitc"), Err("INVALID_ARGUMENT"));
        let several = chosen(&devices(), "kitc").unwrap_err().message;
        assert!(several.contains("Kitchen radio") && !several.contains("Phone"), "only those: {several}");
        assert_eq!(choose("radio"), Err("RESTRICTED"));
        assert_eq!(choose("car"), Err("RESTRICTED"));
        assert_eq!(choose("phone"), Err("INVALID_ARGUMENT"));
        assert_eq!(choose("p"), Ok("p".to_owned()));
        assert_eq!(choose("attic"), Err("NOT_FOUND"));
        assert_eq!(chosen(&[], "x").map_err(|error| error.code), Err("NO_ACTIVE_DEVICE"));
    }

    #[test]
    fn a_device_is_told_in_a_line_without_what_strangers_hid() {
        let lines: Vec<_> = devices().iter().map(DeviceItem::line).collect();
        assert_eq!(lines[0], "Kitchen (Speaker, active, volume 40 %) [k1]");
        assert_eq!(lines[2], "Car (takes no commands)");
        assert_eq!(lines[3], "Phone [p]");
    }
}
