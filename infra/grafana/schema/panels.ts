// Which of Grafana's published types our dashboards must keep; dashboard.json is made from this (README.md says how).
import type * as raw from "./node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen";
import type * as BarChart from "./node_modules/@grafana/schema/dist/types/raw/composable/barchart/panelcfg/x/types.gen";
import type * as BarGauge from "./node_modules/@grafana/schema/dist/types/raw/composable/bargauge/panelcfg/x/types.gen";
import type * as Stat from "./node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen";
import type * as Table from "./node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen";
import type * as TimeSeries from "./node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen";

type Fields<F> = Omit<raw.FieldConfigSource, "defaults"> & { defaults: Omit<raw.FieldConfig, "custom"> & { custom?: Partial<F> } };
type Panel<T extends string, O, F = Record<string, never>> = Omit<raw.Panel, "type" | "options" | "fieldConfig"> & {
  type: T;
  options: Partial<O>;
  fieldConfig: Fields<F>;
};
type Known =
  | Panel<"barchart", BarChart.Options, BarChart.FieldConfig>
  | Panel<"bargauge", BarGauge.Options>
  | Panel<"stat", Stat.Options>
  | Panel<"table", Table.Options, Table.FieldConfig>
  | Panel<"timeseries", TimeSeries.Options, TimeSeries.FieldConfig>;

export type Dashboard = Omit<raw.Dashboard, "panels"> & { panels: Array<Known | raw.RowPanel> };
