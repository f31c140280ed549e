package manifests

// FileWithoutUnread is for tests: what leaves the process is told to nobody else.
var FileWithoutUnread = fileWithoutUnread
