"""Every reason that detection gives: fixed, short, in one place; tests and people compare them."""

# of a candidate, by the statistics
CLEAR = "clear"  # surer than detection.false_alarms asks, and large enough to see
NOT_SURE = "not-sure"  # good pixels could look like this
TOO_FAINT = "too-faint"  # sure, but less than the eye would see
RARELY_SHOWS = "rarely-shows"  # sure in the sum, but few photos carry it
REGION = "region"  # many at once side by side: a date stamp, a logo
LINKED = "seen-in-other-size"  # the same body has a defect there at another geometry
BORDER = "border"  # a frame or bar along the edge of the picture
CLIPPED = "clipped"  # the photos are white there, and white says nothing
SHADOW = "shadow"  # dark in all colours alike over some pixels: a speck of dust
SMEARED = "smeared"  # wide and soft: dust, or pixels that move (lens correction, zoom)

# of a whole ranking
FEW_PHOTOS = "few-photos"
LITTLE_VARIETY = "too-little-variety"  # the photos show one scene, or nothing
TOO_MANY = "too-many"  # no sensor has so many defects: something else makes them
TWO_CAMERAS = "two-cameras"  # photos that claim one body show the defects of two

# of a verdict
MANUAL = "manual-mode"
BRAKE = "too-many-new"  # confirmation.max_new
CONFIRMED_BY_HAND = "confirmed-by-hand"
REJECTED_BY_HAND = "rejected-by-hand"
ADDED_BY_HAND = "added-by-hand"
STAYS = "found-before"  # confirmed once and not contradicted since
NOT_FOUND_AGAIN = "not-found-again"
HEALED = "healed"  # was there and is gone: mapped out by a service

# Held only until a person says yes to all of them at once; a region or a border is not.
ACCEPTABLE = frozenset({MANUAL, BRAKE, TOO_MANY})

FOR_PEOPLE = {
    CLEAR: "surer than asked and large enough to see",
    NOT_SURE: "good pixels could look like this",
    TOO_FAINT: "sure, but fainter than the eye sees",
    RARELY_SHOWS: "shows in too few photos",
    REGION: "part of a larger region, such as a date stamp or a logo",
    LINKED: "the same camera has a defect there in its photos of another size or turn",
    BORDER: "part of a border of the picture",
    CLIPPED: "the photos are clipped to white there, which says nothing of a pixel",
    SHADOW: "darker in all colours alike, as under a small speck of dust",
    SMEARED: "wide and soft, as dust or moved pixels are",
    FEW_PHOTOS: "too few photos yet",
    LITTLE_VARIETY: "the photos vary too little",
    TOO_MANY: "far more than a sensor can have",
    TWO_CAMERAS: "photos that claim to be of one camera show the defects of two in turns",
    MANUAL: "waits for you: confirmation.mode is manual",
    BRAKE: "more new ones at once than confirmation.max_new; `pixels confirm --held` accepts them",
    CONFIRMED_BY_HAND: "you confirmed it",
    REJECTED_BY_HAND: "you rejected it",
    ADDED_BY_HAND: "you added it",
    STAYS: "confirmed before",
    NOT_FOUND_AGAIN: "not found in the last ranking",
    HEALED: "no longer there",
}
