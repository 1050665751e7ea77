// The parts of a browser that @microsoft/fetch-event-source asks for.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
