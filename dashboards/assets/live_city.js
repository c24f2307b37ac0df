import { begin } from "gampong-live";

export default {
  template: "<span hidden></span>",
  props: { setting: String },
  created() {
    begin(JSON.parse(this.setting));
  },
};
