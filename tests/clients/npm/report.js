// How each program prints what its library handed to it: one line of JSON for each message, or for each text that a
// user's code could not have read.

const print = (line) => console.log(JSON.stringify(line));

/** Reads the data of a message as a user would, and prints its id and its text. Events that are no message have none. */
export function report(id, data) {
  let text;
  try {
    text = JSON.parse(data).message;
  } catch (error) {
    print({ error: `${error}` });
    throw error;
  }
  if (text !== undefined) print({ id, text });
}
