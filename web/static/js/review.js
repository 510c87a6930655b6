// @ts-check
/** Grading by keyboard; the rules' previews; the editor of forms. What is typed is kept by form-drafts.js. */

const grade = document.getElementById("grade");
if (grade instanceof HTMLFormElement) beginGrading(grade);

/** @param {HTMLFormElement} form */
function beginGrading(form) {
  const questions = [...form.querySelectorAll("[data-question]")].map((one) => /** @type {HTMLElement} */ (one));
  let current = 0;

  const sum = () => {
    let points = 0, weights = 0, done = 0;
    for (const question of questions) {
      const chosen = /** @type {HTMLInputElement|null} */ (question.querySelector("input:checked"));
      if (!chosen) continue;
      done += 1;
      if (chosen.value === "na") continue;
      const weight = Number(question.dataset.weight);
      points += weight * (question.dataset.kind === "yes_no" ? Number(chosen.value) : (Number(chosen.value) - 1) / 4);
      weights += weight;
    }
    const output = form.querySelector("[data-sum]");
    if (output) output.textContent = done < questions.length ? `${done} / ${questions.length}` : weights ? `${Math.round(100 * points / weights)} / 100` : "";
  };
  const mark = () => questions.forEach((question, at) => question.classList.toggle("current", at === current));
  /** @param {number} to @param {boolean} [scroll] */
  const go = (to, scroll = true) => {
    current = Math.min(Math.max(to, 0), questions.length - 1);
    mark();
    questions[current].focus({ preventScroll: true }); // not an answer: Space must play, arrows must seek
    if (scroll) questions[current].scrollIntoView({ block: "nearest" });
  };
  /** @param {string} value */
  const answer = (value) => {
    const radio = /** @type {HTMLInputElement|null} */ (questions[current].querySelector(`input[value="${value}"]`));
    if (!radio) return false;
    radio.checked = true;
    radio.dispatchEvent(new Event("input", { bubbles: true }));
    if (current + 1 < questions.length) go(current + 1);
    else field("feedback")?.focus();
    return true;
  };
  /** @param {string} name @returns {HTMLElement|null} */
  const field = (name) => form.querySelector(`[name="${CSS.escape(name)}"]`);

  /** @type {Record<string, () => boolean|void>} */
  const acts = {
    j: () => go(current + 1), ArrowDown: () => go(current + 1),
    k: () => go(current - 1), ArrowUp: () => go(current - 1),
    y: () => answer("1"), n: () => answer("0"), x: () => answer("na"),
    f: () => field("feedback")?.focus(),
    r: () => {
      const remark = questions[current].querySelector("details");
      remark?.setAttribute("open", "");
      remark?.querySelector("textarea")?.focus();
    },
    w: () => {
      const skip = document.querySelector("details.unworthy");
      skip?.setAttribute("open", "");
      /** @type {HTMLElement|null} */ (skip?.querySelector("input[name=why]") ?? null)?.focus();
    },
  };
  const scale = () => questions[current].dataset.kind === "scale";
  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (!target.closest("details.unworthy")) form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && target instanceof HTMLInputElement && target.type === "radio") { event.preventDefault(); go(current + 1); return; }
    const typing = target.closest("textarea, select, input:not([type=radio]), summary, audio, [role=slider]");
    if (typing) {
      if (event.key === "Escape" && form.contains(typing)) { event.preventDefault(); event.stopPropagation(); go(current); }
      return;
    }
    if (event.key.startsWith("Arrow") && !form.contains(target)) return;
    let done = false;
    if (/^[1-5]$/.test(event.key)) done = scale() && answer(event.key);
    else if ((event.key === "y" || event.key === "n") && scale()) return;
    else if (acts[event.key]) done = acts[event.key]() !== false;
    if (done) { event.preventDefault(); event.stopImmediatePropagation(); }
  }, true);

  form.addEventListener("input", sum);
  form.addEventListener("focusin", (event) => {
    const at = questions.findIndex((question) => question.contains(/** @type {Node} */ (event.target)));
    if (at >= 0) { current = at; mark(); }
  });
  form.addEventListener("click", (event) => {
    if (event.detail > 0 && event.target instanceof HTMLInputElement && event.target.type === "radio") questions[current].focus({ preventScroll: true });
  });
  sum();
  const open = questions.findIndex((question) => !question.querySelector("input:checked"));
  go(open < 0 ? 0 : open, false); // the player stays in sight
}

const PAUSE = 500; // ms of no typing before a rule is tried out

for (const form of document.querySelectorAll("form[data-rule]")) preview(/** @type {HTMLFormElement} */ (form));

/** @param {HTMLFormElement} form */
async function preview(form) {
  const said = /** @type {HTMLElement} */ (form.querySelector("[data-preview]"));
  const off = said.textContent ?? "";
  let asked = 0;
  const ask = async () => {
    const own = ++asked;
    const numbers = [...form.querySelectorAll("input[type=number]")].map((one) => /** @type {HTMLInputElement} */ (one));
    if (numbers.some((one) => !one.checkValidity())) { said.textContent = ""; return; }
    const query = new URLSearchParams(numbers.map((one) => [one.name, one.value]));
    try {
      const answer = await fetch(`${form.dataset.rule}?${query}`);
      if (own === asked && answer.ok) said.textContent = `${off} ${await answer.text()}`.trim();
    } catch { if (own === asked) said.textContent = off; }
  };
  /** @type {ReturnType<typeof setTimeout>|undefined} */ let timer;
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, PAUSE); });
  await ask();
}

const editor = document.querySelector("form[data-editor]");
if (editor instanceof HTMLFormElement) beginEditing(editor);

/** @param {HTMLFormElement} form */
function beginEditing(form) {
  const rows = /** @type {HTMLElement} */ (form.querySelector("[data-rows]"));
  const add = /** @type {HTMLElement} */ (form.querySelector("[data-add]"));
  const blank = /** @type {HTMLTemplateElement} */ (document.querySelector("[data-blank]"));
  let made = rows.children.length;
  const number = () => {
    [...rows.querySelectorAll("[data-place]")].forEach((field, at) => { /** @type {HTMLInputElement} */ (field).value = String(at); });
    for (const moves of rows.querySelectorAll("[data-moves]")) /** @type {HTMLElement} */ (moves).hidden = false;
    add.hidden = rows.children.length >= Number(form.dataset.editor);
  };
  add.addEventListener("click", () => {
    const row = /** @type {HTMLElement} */ (/** @type {DocumentFragment} */ (blank.content.cloneNode(true)).firstElementChild);
    for (const field of row.querySelectorAll("[name]")) field.setAttribute("name", (field.getAttribute("name") ?? "").replace("q999", `q${made}`));
    made += 1;
    rows.append(row);
    number();
    /** @type {HTMLElement|null} */ (row.querySelector("input[name$=text]"))?.focus();
  });
  rows.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest("[data-move], [data-drop]"));
    const row = button?.closest("[data-row]");
    if (!button || !row) return;
    if (button.hasAttribute("data-drop")) { /** @type {HTMLElement|null} */ ((row.nextElementSibling ?? row.previousElementSibling ?? form).querySelector("input:not([type=hidden])"))?.focus(); row.remove(); }
    else if (button.dataset.move === "-1") row.previousElementSibling?.before(row);
    else row.nextElementSibling?.after(row);
    number();
    if (row.isConnected) button.focus();
  });
  number();
}
