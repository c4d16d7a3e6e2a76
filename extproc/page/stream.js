// Server-sent events, for as long as anyone looks: a stream that breaks, or says nothing, is opened anew.

const SILENCE = 12_500; // ms; extproc gives a sign of life every 5 s
const PAUSES = [500, 1000, 2000, 5000]; // ms before each attempt, the last for all later ones

/** Call `take(document)` with each list of experiments, and `tell(state)` with "live", "lost" or "paused". */
export function follow(take, tell) {
  let source = null;
  let watchdog = 0;
  let attempts = 0;
  let again = 0;

  function open() {
    close();
    source = new EventSource("api/v1/stream");
    source.addEventListener("experiments", (event) => {
      heard();
      take(JSON.parse(event.data));
    });
    source.addEventListener("alive", heard);
    // The browser would try again by itself, but not after an HTTP error, and not when there is only silence.
    source.addEventListener("error", lost);
    watchdog = setTimeout(lost, SILENCE);
  }

  function heard() {
    attempts = 0;
    tell("live");
    clearTimeout(watchdog);
    watchdog = setTimeout(lost, SILENCE);
  }

  function lost() {
    close();
    tell("lost");
    again = setTimeout(open, PAUSES[Math.min(attempts, PAUSES.length - 1)]);
    attempts += 1;
  }

  function close() {
    source?.close();
    source = null;
    clearTimeout(watchdog);
    clearTimeout(again);
  }

  // A browser keeps six connections to a host: pages that nobody sees must not use them up.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      close();
      tell("paused");
    } else if (!source) {
      attempts = 0;
      open();
    }
  });
  globalThis.addEventListener("online", () => source || open());
  open();
}
