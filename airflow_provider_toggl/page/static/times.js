// Shows times in the time zone of the Airflow UI. The server renders them in UTC.
"use strict";
(() => {
  const chosenZone = () => {
    try {
      const chosen = JSON.parse(localStorage.getItem("timezone"));
      // Throws for an invalid zone.
      if (typeof chosen === "string" && new Intl.DateTimeFormat("en", { timeZone: chosen })) return chosen;
    } catch {
      // Storage may be disabled, or have another value.
    }
    // The Airflow UI has the same default.
    return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  };

  let zone = chosenZone();

  const partsOf = (moment, timeZone) => {
    const options = { timeZone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
    return Object.fromEntries(new Intl.DateTimeFormat("en", options).formatToParts(moment).map((part) => [part.type, part.value]));
  };
  const FORMATS = {
    full: (at) => `${at.year}-${at.month}-${at.day} ${at.hour}:${at.minute}:${at.second}`,
    hour: (at) => `${at.month}-${at.day} ${at.hour}:${at.minute}`,
    short: (at) => {
      const now = partsOf(new Date(), zone);
      const isToday = ["year", "month", "day"].every((name) => now[name] === at[name]);
      return isToday ? `${at.hour}:${at.minute}` : FORMATS.hour(at);
    },
    input: (at) => `${at.year}-${at.month}-${at.day}T${at.hour}:${at.minute}`,
  };
  const format = (moment, name) => FORMATS[name](partsOf(moment, zone));

  const localize = (root) => {
    for (const element of root.querySelectorAll("time[data-format]")) {
      const moment = new Date(element.dateTime);
      const shown = element.dataset.format;
      if (shown !== "title") element.textContent = format(moment, shown);
      if (shown !== "full") element.title = `${format(moment, "full")} ${zone}`;
    }
    for (const element of root.querySelectorAll(".zone")) element.textContent = zone;
  };

  // When clocks change, a wall time can exist twice or not at all; then the first guess is used.
  const momentOf = (wall, timeZone) => {
    const asUtc = Date.parse(`${wall}Z`);
    const offsetAt = (moment) => Date.parse(`${FORMATS.full(partsOf(new Date(moment), timeZone)).replace(" ", "T")}Z`) - moment;
    const guess = asUtc - offsetAt(asUtc);
    return new Date(asUtc - offsetAt(guess));
  };

  // Filter fields show the zone's time and send UTC, so that an address means the same for everybody.
  const fields = [...document.querySelectorAll("input[type=datetime-local]")];
  const showFields = (momentFrom) => {
    for (const field of fields) if (field.value) field.value = format(momentFrom(field.value), "input");
  };
  for (const form of new Set(fields.map((field) => field.form))) {
    form.addEventListener("formdata", (event) => {
      for (const field of fields) {
        if (field.form === form && field.value) event.formData.set(field.name, momentOf(field.value, zone).toISOString().slice(0, 16));
      }
    });
  }

  showFields((value) => new Date(`${value}Z`));
  localize(document);
  addEventListener("storage", (event) => {
    if (event.key !== "timezone") return;
    const before = zone;
    zone = chosenZone();
    showFields((value) => momentOf(value, before));
    localize(document);
    document.dispatchEvent(new Event("zonechange"));
  });

  globalThis.togglTimes = { localize, format, zone: () => zone };
})();
