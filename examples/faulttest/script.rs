//! The conversations that chatters post, which make sense to a person who has the room open.

/// A conversation: lines with the index of the speaker. Each time, speakers are drawn from those who take part.
pub type Dialogue = &'static [(usize, &'static str)];

/// The names of the chatters.
pub const PEOPLE: [&str; 12] =
    ["Asha", "Bruno", "Chidi", "Dagny", "Elif", "Farid", "Greta", "Hugo", "Imani", "Jin", "Katya", "Leo"];

/// The sender of the messages that announce an act.
pub const ANNOUNCER: &str = "the stagehand";

pub const DIALOGUES: &[Dialogue] = &[
    &[
        (0, "Did anybody water the plants?"),
        (1, "I did. On Monday."),
        (0, "It is Thursday."),
        (1, "They looked happy on Monday."),
        (2, "I have just been there. They look like Thursday."),
    ],
    &[
        (0, "Lunch?"),
        (1, "In ten minutes. The soup place?"),
        (0, "It is closed on Saturdays."),
        (2, "Then the other soup place."),
        (1, "Deal."),
    ],
    &[
        (0, "Is it me, or was the connection gone for a moment?"),
        (1, "It was. Nothing is missing here, though."),
        (0, "Same here. My last line came once, too."),
        (2, "What connection?"),
    ],
    &[
        (0, "How do you pronounce “SQL”?"),
        (1, "“Sequel”."),
        (2, "“Ess queue ell”."),
        (0, "Thank you. I regret asking."),
    ],
    &[
        (0, "The coffee machine wants to be descaled."),
        (1, "It wanted that last week, too."),
        (0, "It blinks faster now."),
        (2, "That is how it says please."),
        (1, "All right, I am going."),
    ],
    &[
        (0, "I have found a typo on the start page."),
        (1, "Where?"),
        (0, "In the word “typo”."),
        (1, "That one we keep."),
    ],
    &[
        (0, "Who left a bicycle in the hall?"),
        (1, "What colour?"),
        (0, "Green, with a basket."),
        (1, "Never seen it before."),
        (2, "You came on it this morning."),
        (1, "Then it is mine."),
    ],
    &[
        (0, "Train is late again."),
        (1, "How late?"),
        (0, "They say five minutes. They have said so for twenty."),
        (2, "A constant is nice to have."),
    ],
    &[
        (0, "Reading suggestion, anyone? Something short."),
        (1, "Invisible Cities."),
        (2, "Seconded. A chapter a stop, on the tram."),
        (0, "Ordered, thank you both."),
    ],
    &[
        (0, "Can somebody look at my change? It is two lines."),
        (1, "Which two?"),
        (0, "The wrong ones, I think."),
        (1, "Looks good to me, then. As a diagnosis."),
    ],
    &[
        (0, "Counting sheep does not work. I get to 2,147,483,647 and then it goes wrong."),
        (1, "Take unsigned sheep."),
        (2, "Or go to bed earlier."),
    ],
    &[
        (0, "Rain."),
        (1, "Here too."),
        (2, "Sun!"),
        (0, "Nobody likes you."),
        (2, "I have cake as well."),
        (1, "On my way."),
    ],
    &[
        (0, "What was the name of the thing that one puts between two things?"),
        (1, "A proxy?"),
        (0, "No, for bread."),
        (2, "Cheese."),
        (0, "Cheese! Thank you."),
    ],
    &[
        (0, "The cat has sat down on the keyboard. Please ignore whatever comes."),
        (1, "It writes better than my last review."),
        (0, "It approves of you, too."),
    ],
    &[
        (0, "Is the meeting at three or at half past?"),
        (1, "At three."),
        (2, "It was moved to half past."),
        (1, "It was moved back."),
        (0, "I shall come at a quarter past and be wrong for everybody."),
    ],
    &[
        (0, "Three places after the point, or two?"),
        (1, "Two."),
        (0, "Why?"),
        (1, "Nobody believes the third."),
    ],
    &[
        (0, "Somebody is playing the cello next door."),
        (1, "Well?"),
        (0, "Slowly."),
        (2, "That is the hard way."),
    ],
    &[
        (0, "Remind me to buy lemons."),
        (1, "Buy lemons."),
        (0, "Not now."),
        (1, "When?"),
        (0, "When I am standing in front of the oranges."),
    ],
];
