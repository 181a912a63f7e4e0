//! The names of every context. This is what the manual shows, and the only
//! place that a new name goes.

use super::contexts::Context;
use super::contexts::Further;
use super::contexts::Inside;
use super::contexts::Known;
use super::contexts::Row;

const fn value(name: &'static str, help: &'static str) -> Known {
    Known {
        name,
        help,
        inside: Inside::Nothing,
    }
}

const fn with(name: &'static str, help: &'static str, inside: Inside) -> Known {
    Known { name, help, inside }
}

/// A build's step and its end.
pub(crate) static STEP: Context = Context::of(&Row {
    name: "step",
    keys: "`do_step_if`, and time limits",
    summary: "computed when the step begins",
    names: STEP_NAMES,
    further: Further::Open("the build's properties; one that is not set is `none`"),
});

pub(crate) static HIDE_STEP: Context = Context::of(&Row {
    name: "hide_step",
    keys: "`hide_step_if`",
    summary: "computed when the step has ended: the names of `step`, and its outcome",
    names: &[
        TAGS,
        SLAVE,
        BUILDER,
        EARLIER_STEPS,
        BUILD,
        PROPERTIES,
        value(
            "outcome",
            "how the step ended: `success`, `warnings`, `failure`, `skipped` or `exception`",
        ),
        value("result", "the same"),
    ],
    further: Further::Open("the build's properties; one that is not set is `none`"),
});

const STEP_NAMES: &[Known] = &[TAGS, SLAVE, BUILDER, EARLIER_STEPS, BUILD, PROPERTIES];

const TAGS: Known = value("tags", "the builder's tags");

const PROPERTIES: Known = with(
    "properties",
    "the properties by name: `properties['warnings-count']` is one whose name is no word",
    Inside::Open(&[]),
);

const SLAVE: Known = with(
    "slave",
    "the slave that the build runs on",
    Inside::Names(&[
        value("name", "its name"),
        value("os", "its operating system"),
        value("arch", "its processor"),
        value("version", "the version of its operating system"),
        value("hostname", "the name of its machine"),
        value("tags", "its tags"),
        value("timeout_factor", "how much longer everything takes on it"),
        with(
            "has",
            "what is installed on it: `slave.has.python` is a list",
            Inside::Open(&[]),
        ),
        with("properties", "its properties", Inside::Open(&[])),
    ]),
);

const BUILDER: Known = with(
    "builder",
    "the builder",
    Inside::Names(&[
        value("name", "its name"),
        value("category", "its category, or `none`"),
        value("tags", "its tags"),
    ]),
);

const EARLIER_STEPS: Known = with(
    "step",
    "the earlier steps of the build by name: `step.test.failed`",
    Inside::Each(&[
        value("failed", "whether it ended as a failure or an exception"),
        value("succeeded", "whether it ended well, warnings or not"),
        value("warned", "whether it ended with warnings"),
        value("skipped", "whether it was left out"),
        value("outcome", "the word for how it ended"),
    ]),
);

const BUILD: Known = with(
    "build",
    "the build",
    Inside::Names(&[
        value("number", "its number"),
        value("reason", "why it runs"),
    ]),
);

/// A change that has come in.
pub(crate) static CHANGE: Context = Context::of(&Row {
    name: "change",
    keys: "`change_filter`, `file_is_important`",
    summary: "computed for each change; where it uses `file`, for each file of the change",
    names: &[
        with(
            "change",
            "the change; all of it may be named without `change.` too",
            Inside::Names(CHANGE_NAMES),
        ),
        NUMBER,
        AUTHOR,
        FILES,
        COMMENTS,
        REVISION,
        BRANCH,
        REPOSITORY,
        PROJECT,
        CATEGORY,
        REVLINK,
        OF_CHANGE,
        value("file", "one of the files"),
    ],
    further: Further::Nothing,
});

const CHANGE_NAMES: &[Known] = &[
    NUMBER, AUTHOR, FILES, COMMENTS, REVISION, BRANCH, REPOSITORY, PROJECT, CATEGORY, REVLINK,
    OF_CHANGE,
];

const NUMBER: Known = value("number", "its number");
const REVLINK: Known = value("revlink", "where the revision is shown, or nothing");

const AUTHOR: Known = value("author", "who made it");
const FILES: Known = value("files", "the files that it touches, a list");
const COMMENTS: Known = value("comments", "what its author says of it");
const REVISION: Known = value("revision", "its revision, or `none`");
const BRANCH: Known = value("branch", "its branch, or `none`");
const REPOSITORY: Known = value("repository", "its repository");
const PROJECT: Known = value("project", "its project");
const CATEGORY: Known = value("category", "its category, or `none`");
const OF_CHANGE: Known = with("properties", "its properties", Inside::Open(&[]));

/// Two requests that may become one build.
pub(crate) static REQUESTS: Context = Context::of(&Row {
    name: "requests",
    keys: "`merge_requests`",
    summary: "computed for a chosen request and each other one of its builder",
    names: &[
        with("a", "the chosen request", Inside::Names(PAIR_NAMES)),
        with("b", "the other request", Inside::Names(PAIR_NAMES)),
    ],
    further: Further::Nothing,
});

const REQUEST_NAMES: &[Known] = &[
    ID, OF_BUILDER, REASON, SUBMITTED, BRANCH, REVISION, REPOSITORY, PROJECT, CHANGES, HAS_PATCH,
    URGENT, OF_REQUEST,
];

const PAIR_NAMES: &[Known] = &[
    ID,
    OF_BUILDER,
    REASON,
    SUBMITTED,
    BRANCH,
    REVISION,
    REPOSITORY,
    PROJECT,
    CHANGES,
    HAS_PATCH,
    URGENT,
    OF_REQUEST,
    value(
        "agrees",
        "whether the two would become one without the rule",
    ),
];

const ID: Known = value("id", "its number");
const OF_BUILDER: Known = value("builder", "the name of its builder");
const REASON: Known = value("reason", "why it was made");
const SUBMITTED: Known = value("submitted", "when it was made, in seconds since 1970");
const CHANGES: Known = value("changes", "its changes, a list of their numbers");
const HAS_PATCH: Known = value("has_patch", "whether it brings a patch");
const URGENT: Known = value(
    "priority",
    "its own priority, or `none`: then that of its builder holds",
);
const OF_REQUEST: Known = with("properties", "its properties", Inside::Open(&[]));

/// Which builder, which request, which slave comes first.
pub(crate) static PRIORITY: Context = Context::of(&Row {
    name: "priority",
    keys: "`prioritize_builders`",
    summary: "computed for each builder that has something to do; the least value comes first",
    names: &[with(
        "builder",
        "the builder",
        Inside::Names(&[
            value("name", "its name"),
            value("factory", "the name of its factory"),
            value("category", "its category, or `none`"),
            value("tags", "its tags"),
            value("slaves", "the names of its slaves"),
            with("properties", "its properties", Inside::Open(&[])),
            value(
                "oldest",
                "when its oldest request was made, in seconds since 1970",
            ),
            value("waiting", "how many requests wait for it"),
            value("running", "how many builds it has now"),
            value("priority", "the priority of its most urgent request"),
        ]),
    )],
    further: Further::Nothing,
});

pub(crate) static NEXT_BUILD: Context = Context::of(&Row {
    name: "next_build",
    keys: "`next_build`",
    summary: "computed for each request that waits for the builder; the least value comes first",
    names: &[with("request", "the request", Inside::Names(REQUEST_NAMES))],
    further: Further::Nothing,
});

pub(crate) static NEXT_SLAVE: Context = Context::of(&Row {
    name: "next_slave",
    keys: "`next_slave`",
    summary: "computed for each slave of the builder that is free; the least value comes first",
    names: &[with(
        "slave",
        "the slave",
        Inside::Names(&[
            value("name", "its name"),
            value("os", "its operating system, if the file says it"),
            value("tags", "its tags"),
            with("has", "what is installed on it", Inside::Open(&[])),
            value("timeout_factor", "how much slower than others it is"),
            value(
                "max_builds",
                "how many builds it has at once, if that is limited",
            ),
            value("running", "how many builds it has now"),
            value(
                "last_used",
                "a number that grows with each build that begins: the greatest was used last",
            ),
            value(
                "warm",
                "`tree` if the builder's last good build was on it, `mirror` if it built the same repository lately and keeps mirrors, else `cold`",
            ),
            with("properties", "its properties", Inside::Open(&[])),
        ]),
    )],
    further: Further::Nothing,
});

/// A combination of a matrix.
pub(crate) static MATRIX: Context = Context::of(&Row {
    name: "matrix",
    keys: "`slaves` and `exclude` of a builder",
    summary: "computed for each combination, when the file is loaded; `slaves` for each slave too",
    names: &[with(
        "slave",
        "the slave",
        Inside::Names(&[
            value("name", "its name"),
            value("os", "its operating system, if the file says it"),
            value(
                "max_builds",
                "how many builds it has at once, if that is limited",
            ),
            value("timeout_factor", "how much slower than others it is"),
            value("tags", "its tags"),
            with(
                "has",
                "what is installed on it: `slave.has.python` is a list",
                Inside::Open(&[]),
            ),
            with("properties", "its properties", Inside::Open(&[])),
        ]),
    )],
    further: Further::Given("the axes of the matrix"),
});

/// Tags, as a [`TagExpression`](super::TagExpression) reads them.
pub(crate) static TAG: Context = Context::of(&Row {
    name: "tags",
    keys: "selecting builders or slaves by tags",
    summary: "tags joined by `and`, `or`, `not` and brackets, nothing else; a tag with other characters than letters, digits, `_`, `-`, `.` is quoted",
    names: &[],
    further: Further::Open("the tags: each holds where the builder or slave has it"),
});

/// A factory's texts.
pub(crate) static PLATFORM: Context = Context::of(&Row {
    name: "platform",
    keys: "`{{ … }}` in a recipe",
    summary: "computed when the file is loaded",
    names: &[with(
        "platform",
        "what the slave runs on",
        Inside::Names(&[
            value("os", "`linux`, `mac` or `win`"),
            value("arch", "the processor: `x86_64`"),
            value("bits", "32 or 64"),
            value("version", "the version of the operating system"),
            value("hostname", "the name of the machine"),
        ]),
    )],
    further: Further::Given("the factory's parameters"),
});

/// What a build is of.
pub(crate) static STAMP: Context = Context::of(&Row {
    name: "stamp",
    keys: "`%(…)s` in the `workdir` of a factory",
    summary: "computed when the build begins",
    names: &[
        value("branch", "the branch that is built, or `none`"),
        value(
            "revision",
            "the revision that is built, or `none` for the newest",
        ),
        value("repository", "the URL of the repository"),
        value("project", "the project, or nothing"),
    ],
    further: Further::Nothing,
});

/// Somebody who wants to press a button.
pub(crate) static USER: Context = Context::of(&Row {
    name: "user",
    keys: "rules of `[:authz:]` about nothing in particular, such as `default_action` and `reload`",
    summary: "computed when somebody who is logged in wants to do it",
    names: &[PERSON, ROLE, TEAM],
    further: Further::Nothing,
});

pub(crate) static USER_OF_BUILDER: Context = Context::of(&Row {
    name: "user_of_builder",
    keys: "`force_build`, `force_all_builds` and `ping_builder`",
    summary: "the names of `user`, and the builder that it is about",
    names: &[
        PERSON,
        ROLE,
        TEAM,
        BUILDER,
        value("branch", "the branch that is asked for, or `none`"),
    ],
    further: Further::Nothing,
});

pub(crate) static USER_OF_BUILD: Context = Context::of(&Row {
    name: "user_of_build",
    keys: "`stop_build`",
    summary: "the names of `user`, and the build that it is about",
    names: &[
        PERSON,
        ROLE,
        TEAM,
        BUILDER,
        BUILD,
        value("branch", "the branch that is built, or `none`"),
        OWNER,
    ],
    further: Further::Nothing,
});

pub(crate) static USER_OF_REQUEST: Context = Context::of(&Row {
    name: "user_of_request",
    keys: "`cancel_pending_build` and `stop_change`",
    summary: "the names of `user`, and the request that it is about",
    names: &[
        PERSON,
        ROLE,
        TEAM,
        BUILDER,
        with(
            "request",
            "the request; `none` where all that wait are meant",
            Inside::Names(&[
                value("number", "its number"),
                value("reason", "why it was asked for"),
            ]),
        ),
        value("branch", "the branch that is to be built, or `none`"),
        OWNER,
    ],
    further: Further::Nothing,
});

pub(crate) static USER_OF_SLAVE: Context = Context::of(&Row {
    name: "user_of_slave",
    keys: "`pause_slave` and `graceful_shutdown`",
    summary: "the names of `user`, and the slave that it is about",
    names: &[
        PERSON,
        ROLE,
        TEAM,
        with(
            "slave",
            "the slave",
            Inside::Names(&[value("name", "its name")]),
        ),
    ],
    further: Further::Nothing,
});

const PERSON: Known = with(
    "user",
    "who is logged in; alone it is the user's name",
    Inside::Open(&[
        value("name", "the user's name"),
        value("email", "the user's address"),
        value("roles", "the names of the roles that the user has, a list"),
        value(
            "teams",
            "the names of the teams that the user is in, a list",
        ),
        value(
            "git",
            "what git calls the user; so with every other attribute",
        ),
    ]),
);

const ROLE: Known = with(
    "role",
    "the users of each `role.NAME`: `user in role.admin`",
    Inside::Open(&[]),
);

const TEAM: Known = with(
    "team",
    "the users of each `team.NAME`: `user in team.releng`",
    Inside::Open(&[]),
);

const OWNER: Known = value(
    "owner",
    "whether the user asked for it, or made one of its changes",
);

/// Whatever values there are, for texts that are filled in.
pub(crate) static VALUES: Context = Context::of(&Row {
    name: "values",
    keys: "`{{ … }}`",
    summary: "computed when the file is loaded",
    names: &[],
    further: Further::Given("the values"),
});

/// Every context, in the order of the manual.
pub(crate) static CONTEXTS: &[&Context] = &[
    &STEP,
    &HIDE_STEP,
    &CHANGE,
    &REQUESTS,
    &PRIORITY,
    &NEXT_BUILD,
    &NEXT_SLAVE,
    &MATRIX,
    &TAG,
    &PLATFORM,
    &STAMP,
    &USER,
    &USER_OF_BUILDER,
    &USER_OF_BUILD,
    &USER_OF_REQUEST,
    &USER_OF_SLAVE,
];
