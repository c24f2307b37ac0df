import { begin } from "gampong-live";

export default {
  template: "<span hidden></span>",
  props: { setting: String, snapshot: String },
  created() {
    begin(JSON.parse(this.setting), JSON.parse(this.snapshot));
  },
};
