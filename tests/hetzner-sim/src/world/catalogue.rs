//! What the provider offers. Names, sizes and where things are sold follow
//! the published lists; prices and ids are made up. [assumed]

use crate::clock::EpochMillis;

/// A place with machines.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Location {
    pub id: u64,
    pub name: &'static str,
    pub description: &'static str,
    pub country: &'static str,
    pub city: &'static str,
    pub latitude: f64,
    pub longitude: f64,
    pub network_zone: &'static str,
}

/// A size of server.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct ServerType {
    pub id: u64,
    pub name: &'static str,
    pub category: &'static str,
    pub cores: u32,
    pub memory_gb: f64,
    pub disk_gb: u32,
    pub dedicated: bool,
    pub architecture: &'static str,
    /// Where it is sold.
    pub locations: &'static [&'static str],
    /// Net price per month in Europe, in ten-thousandths of a euro.
    pub monthly: u64,
    /// Set for a type on its way out.
    pub deprecation: Option<Deprecation>,
}

/// When something goes away.
#[derive(Debug, Clone, Copy)]
pub struct Deprecation {
    /// When that was said.
    pub announced: EpochMillis,
    /// From when no new server can have it.
    pub unavailable_after: EpochMillis,
}

/// A disk image.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Image {
    pub id: u64,
    pub name: &'static str,
    pub description: &'static str,
    pub kind: &'static str,
    pub flavor: &'static str,
    pub version: Option<&'static str>,
    pub architecture: &'static str,
    pub deprecated: Option<EpochMillis>,
}

const EUROPE: &[&str] = &["fsn1", "nbg1", "hel1"];
const EVERYWHERE: &[&str] = &["fsn1", "nbg1", "hel1", "ash", "hil", "sin"];
const OVERSEAS: &[&str] = &["ash", "hil", "sin"];

/// 2025-10-16 and 2026-01-01: the older Intel types. [documented]
const OLDER_TYPES: Deprecation =
    Deprecation { announced: 1_760_572_800_000, unavailable_after: 1_767_225_600_000 };

/// When the made-up images were made.
pub const IMAGES_CREATED: EpochMillis = 1_755_000_000_000;

/// All locations. [documented]
pub static LOCATIONS: [Location; 6] = [
    place(
        1,
        "fsn1",
        "Falkenstein DC Park 1",
        "DE",
        "Falkenstein",
        (50.47612, 12.370071),
        "eu-central",
    ),
    place(
        2,
        "nbg1",
        "Nuremberg DC Park 1",
        "DE",
        "Nuremberg",
        (49.452102, 11.076665),
        "eu-central",
    ),
    place(3, "hel1", "Helsinki DC Park 1", "FI", "Helsinki", (60.169855, 24.938379), "eu-central"),
    place(4, "ash", "Ashburn, VA", "US", "Ashburn, VA", (39.045821, -77.487073), "us-east"),
    place(5, "hil", "Hillsboro, OR", "US", "Hillsboro, OR", (45.54222, -122.951924), "us-west"),
    place(6, "sin", "Singapore", "SG", "Singapore", (1.283333, 103.833333), "ap-southeast"),
];

const fn place(
    id: u64,
    name: &'static str,
    description: &'static str,
    country: &'static str,
    city: &'static str,
    position: (f64, f64),
    network_zone: &'static str,
) -> Location {
    Location {
        id,
        name,
        description,
        country,
        city,
        latitude: position.0,
        longitude: position.1,
        network_zone,
    }
}

/// All types: size is (cores, GB of memory, GB of disk).
pub static SERVER_TYPES: [ServerType; 16] = [
    shared(104, "cx22", "Cost-Optimized", (2, 4.0, 40), EUROPE, 33_900, Some(OLDER_TYPES)),
    shared(114, "cx23", "Cost-Optimized", (2, 4.0, 40), EUROPE, 29_900, None),
    shared(115, "cx33", "Cost-Optimized", (4, 8.0, 80), EUROPE, 49_900, None),
    shared(116, "cx43", "Cost-Optimized", (8, 16.0, 160), EUROPE, 89_900, None),
    shared(117, "cx53", "Cost-Optimized", (16, 32.0, 320), EUROPE, 169_900, None),
    arm(45, "cax11", (2, 4.0, 40), 32_900),
    arm(93, "cax21", (4, 8.0, 80), 59_900),
    arm(94, "cax31", (8, 16.0, 160), 119_900),
    arm(95, "cax41", (16, 32.0, 320), 239_900),
    shared(22, "cpx11", "Regular Performance", (2, 2.0, 40), OVERSEAS, 41_900, None),
    shared(108, "cpx12", "Regular Performance", (1, 2.0, 40), EVERYWHERE, 38_900, None),
    shared(109, "cpx22", "Regular Performance", (2, 4.0, 80), EVERYWHERE, 59_900, None),
    shared(110, "cpx32", "Regular Performance", (4, 8.0, 160), EVERYWHERE, 104_900, None),
    shared(111, "cpx42", "Regular Performance", (8, 16.0, 320), EVERYWHERE, 194_900, None),
    dedicated(96, "ccx13", (2, 8.0, 80), 119_900),
    dedicated(97, "ccx23", (4, 16.0, 160), 239_900),
];

const fn shared(
    id: u64,
    name: &'static str,
    category: &'static str,
    size: (u32, f64, u32),
    locations: &'static [&'static str],
    monthly: u64,
    deprecation: Option<Deprecation>,
) -> ServerType {
    ServerType {
        id,
        name,
        category,
        cores: size.0,
        memory_gb: size.1,
        disk_gb: size.2,
        dedicated: false,
        architecture: "x86",
        locations,
        monthly,
        deprecation,
    }
}

const fn arm(id: u64, name: &'static str, size: (u32, f64, u32), monthly: u64) -> ServerType {
    ServerType {
        architecture: "arm",
        ..shared(id, name, "Cost-Optimized", size, EUROPE, monthly, None)
    }
}

const fn dedicated(id: u64, name: &'static str, size: (u32, f64, u32), monthly: u64) -> ServerType {
    ServerType {
        dedicated: true,
        ..shared(id, name, "General Purpose", size, EVERYWHERE, monthly, None)
    }
}

/// All images. [documented] the x86 and the Arm image share a name.
pub static IMAGES: [Image; 14] = [
    system(310_557_660, "debian-13", "Debian 13", "debian", "13", "x86"),
    system(310_557_661, "debian-13", "Debian 13", "debian", "13", "arm"),
    system(114_690_387, "debian-12", "Debian 12", "debian", "12", "x86"),
    system(114_690_389, "debian-12", "Debian 12", "debian", "12", "arm"),
    Image {
        // 2025-08-31, end of life of Debian 11's security support by its makers.
        deprecated: Some(1_756_598_400_000),
        ..system(45_557_056, "debian-11", "Debian 11", "debian", "11", "x86")
    },
    system(161_547_269, "ubuntu-24.04", "Ubuntu 24.04", "ubuntu", "24.04", "x86"),
    system(161_547_270, "ubuntu-24.04", "Ubuntu 24.04", "ubuntu", "24.04", "arm"),
    system(67_794_396, "ubuntu-22.04", "Ubuntu 22.04", "ubuntu", "22.04", "x86"),
    system(103_907_373, "ubuntu-22.04", "Ubuntu 22.04", "ubuntu", "22.04", "arm"),
    system(309_661_470, "rocky-10", "Rocky Linux 10", "rocky", "10", "x86"),
    system(309_661_471, "rocky-10", "Rocky Linux 10", "rocky", "10", "arm"),
    system(304_908_601, "alma-10", "AlmaLinux 10", "alma", "10", "x86"),
    Image { kind: "app", ..system(40_093_247, "docker-ce", "Docker CE", "ubuntu", "24.04", "x86") },
    Image {
        kind: "app",
        ..system(105_888_141, "docker-ce", "Docker CE", "ubuntu", "24.04", "arm")
    },
];

const fn system(
    id: u64,
    name: &'static str,
    description: &'static str,
    flavor: &'static str,
    version: &'static str,
    architecture: &'static str,
) -> Image {
    Image {
        id,
        name,
        description,
        kind: "system",
        flavor,
        version: Some(version),
        architecture,
        deprecated: None,
    }
}

/// Whether `reference` names a thing, by name or by id in decimal.
pub fn names(reference: &str, id: u64, name: &str) -> bool {
    reference == name || reference.parse() == Ok(id)
}

/// The location called so.
pub fn location(reference: &str) -> Option<&'static Location> {
    LOCATIONS.iter().find(|place| names(reference, place.id, place.name))
}

/// The type called so.
pub fn server_type(reference: &str) -> Option<&'static ServerType> {
    SERVER_TYPES.iter().find(|size| names(reference, size.id, size.name))
}

/// The type with this id.
pub fn server_type_by_id(id: u64) -> Option<&'static ServerType> {
    SERVER_TYPES.iter().find(|size| size.id == id)
}

/// The location with this id.
pub fn location_by_id(id: u64) -> Option<&'static Location> {
    LOCATIONS.iter().find(|place| place.id == id)
}

/// The image with this id.
pub fn image_by_id(id: u64) -> Option<&'static Image> {
    IMAGES.iter().find(|image| image.id == id)
}

impl ServerType {
    /// Net price per month there, in ten-thousandths. Overseas costs more.
    pub fn monthly_at(&self, location: &str) -> u64 {
        match location {
            "ash" | "hil" => self.monthly * 11 / 10,
            "sin" => self.monthly * 14 / 10,
            _ => self.monthly,
        }
    }

    /// Traffic that is included there, in bytes.
    pub fn included_traffic_at(&self, location: &str) -> u64 {
        let terabytes = if EUROPE.contains(&location) { 20 } else { 1 };
        terabytes * 1_099_511_627_776
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{IMAGES, LOCATIONS, SERVER_TYPES};

    #[test]
    fn ids_are_unique_and_places_exist() {
        let types: BTreeSet<u64> = SERVER_TYPES.iter().map(|size| size.id).collect();
        assert_eq!(types.len(), SERVER_TYPES.len());
        let images: BTreeSet<u64> = IMAGES.iter().map(|image| image.id).collect();
        assert_eq!(images.len(), IMAGES.len());
        for size in &SERVER_TYPES {
            for name in size.locations {
                assert!(LOCATIONS.iter().any(|place| place.name == *name));
            }
        }
    }

    #[test]
    fn a_name_stands_for_both_architectures() {
        let named: Vec<&str> = IMAGES
            .iter()
            .filter(|image| image.name == "debian-13")
            .map(|image| image.architecture)
            .collect();
        assert_eq!(named, ["x86", "arm"]);
    }
}
