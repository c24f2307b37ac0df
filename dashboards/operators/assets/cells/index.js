// One value as a table or a card shows it: a text, or an object with more to it.
//   { t: text, state, age: ms, bar: 0..1, bad: true, mark: glyph, note: text }
// An age counts on by the live city's clock; everything is written as text, never as markup.
import { age, city } from "gampong-live";
import { h } from "vue";

export const Cell = {
  props: ["cell"],
  render() {
    const cell = this.cell;
    if (cell === null || typeof cell !== "object") return h("span", cell ?? "–");
    const parts = [];
    if (cell.state) parts.push(h("i", { class: "dot", "data-state": cell.state, "aria-hidden": "true" }));
    if (cell.mark) parts.push(h("b", { class: "cell-mark", "aria-hidden": "true" }, cell.mark));
    if (cell.bar !== undefined && cell.bar !== null)
      parts.push(
        h("span", { class: "cell-bar", "aria-hidden": "true" }, [
          h("i", { style: { width: `${Math.round(100 * Math.min(1, Math.max(0, cell.bar)))}%` } }),
        ]),
      );
    if (cell.t !== undefined) parts.push(h("span", cell.t));
    if (cell.age) parts.push(h("small", { class: "cell-age" }, (city.now, age(cell.age))));
    if (cell.note) parts.push(h("small", { class: "cell-note" }, cell.note));
    return h("span", { class: ["cell", { wrong: cell.bad }] }, parts);
  },
};
